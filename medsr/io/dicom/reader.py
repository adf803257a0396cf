"""The one door to pydicom's reader: packed files no larger than they say, and no elements without end."""

from __future__ import annotations

import gzip
import itertools
import os
import struct
import zlib
from collections.abc import Iterator
from typing import IO, Any

from medsr.core import memory
from medsr.core.errors import InputError, MemoryExhaustedError
from medsr.core.text import reason
from medsr.io import expansion

DEFLATED = b"1.2.840.10008.1.2.1.99"
PLAIN = b"1.2.840.10008.1.2.1\0\0\0"
"""The same elements, not deflated."""
LARGEST_HEADER = 1 << 24
"""Bytes before the pixels of a packed file; more where the file itself is large."""
TRAILER = 1 << 20
"""Bytes that may follow the pixels: padding, signatures."""
READS = 500_000
"""Of elements, in any file; more where the file is large: a scan of 2,000 enhanced frames takes 300,000."""
DISORDERED = 1000
PIXELS = (0x7FE00008, 0x7FE00009, 0x7FE00010)
_MARK = 132
_LONG = (b"OB", b"OW", b"UN", b"SQ", b"UT", b"UC", b"UR")


def dataset_of(stream: IO[bytes], name: str, pixels: bool = True, tags: list[str] | None = None) -> Any:
    """The data set in a file, deflated or packed by gzip too; a file needs no preamble.

    `stream`: able to seek. `pixels`: whether they are read, else only `tags` where those are named.
    Raises InputError, naming `name`, for what is not DICOM, for more elements than a file of that size has, and for a
    packed file that holds more than its header and its Rows, Columns and frames account for; pydicom's own errors for
    damage of other kinds.
    """
    size = stream.seek(0, os.SEEK_END)
    try:
        blocks = _unpacked(stream, name)
        if blocks is None:
            stream.seek(0)
            return _read(_CountingStream(stream, size, name), pixels, tags)
        room = max(LARGEST_HEADER, 8 * size)
        why = f"{name}: its header unpacks to more than {room >> 20} MB; no DICOM header is so large"
        source = _CountingStream(expansion.Forward(blocks, room, why), size, name)
        header = _read(source, False, None if pixels else tags)
        return _with_pixels(stream, name, header, source.tell()) if pixels else header
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise InputError(f"{name}: truncated or damaged ({reason(error)})") from error


def _with_pixels(stream: IO[bytes], name: str, header: Any, begin: int) -> Any:
    """A packed data set whose `header` is known, and where its pixels begin."""
    size = stream.seek(0, os.SEEK_END)
    promised = _pixel_bytes(header)
    expansion.check(promised, size, name)
    _check_free(promised, name)
    why = f"{name}: damaged: it unpacks to more than the {promised / 1e6:.3g} MB of pixels that its header promises"
    whole = expansion.Forward(_unpacked(stream, name) or iter(()), begin + promised + TRAILER, why)
    dataset = _read(_CountingStream(whole, size, name), True, None)
    whole.read()  # to the end: there stands the checksum
    return dataset


class _CountingStream:
    """A stream that may be read only so often: a few bytes of zeros are an element, and a file can have millions."""

    def __init__(self, stream: Any, size: int, name: str) -> None:
        self._stream, self._left = stream, READS + size // 500
        self.name = name
        self.seek, self.tell = stream.seek, stream.tell

    def read(self, size: int = -1) -> bytes:
        """As of any stream. Raises InputError where it was read too often."""
        self._left -= 1
        if self._left < 0:
            raise InputError(f"{self.name}: damaged: it has more elements than a DICOM file of its size")
        content: bytes = self._stream.read(size)
        return content


def _read(source: _CountingStream, pixels: bool, tags: list[str] | None) -> Any:
    """What pydicom makes of it, pixels left out or not; elements that repeat for ever are an error."""
    from pydicom.filereader import read_partial
    from pydicom.tag import Tag

    before, disordered, padded = 0, 0, False

    def stop(tag: int, _: str | None, __: int) -> bool:
        nonlocal before, disordered, padded
        padded |= before in PIXELS
        if padded and tag < 0x10000:  # zeros behind the pixels: padding
            return True
        disordered += tag <= before  # they ascend, but for careless writers
        before = tag
        if disordered > DISORDERED:
            raise InputError(f"{source.name}: damaged: its elements repeat or have no order")
        return not pixels and tag in PIXELS

    dataset = read_partial(
        source,
        stop,
        force=True,
        specific_tags=[Tag(tag) for tag in tags] if tags else None,  # type: ignore[arg-type]
    )
    dataset.buffer = dataset.fileobj_type = dataset.filename = None  # nothing is read later; streams cannot be copied
    return dataset


def _unpacked(stream: IO[bytes], name: str) -> Iterator[bytes] | None:
    """The file as if it were not packed; None where it is not. Raises InputError for what is certainly not DICOM."""
    stream.seek(0)
    is_packed = stream.read(2) == expansion.GZIP
    blocks = expansion.blocks_of(stream)
    head = next(blocks, b"")
    end = _meta_end(head)
    meta = b""
    if is_deflated := DEFLATED in head[:end]:
        meta, blocks = head[:end].replace(DEFLATED, PLAIN), expansion.inflated(itertools.chain([head[end:]], blocks))
        head, end = next(blocks, b""), 0
    if (
        head[end : end + 2] == b"\0\0"
    ):  # group 0 is of commands, never in files; and zeros would be elements without end
        raise InputError(f"{name}: not a DICOM file, or damaged: zeros stand where its elements should begin")
    return itertools.chain([meta + head], blocks) if is_packed or is_deflated else None


def _meta_end(head: bytes) -> int:
    """Where the preamble and the elements of group 2 end, which are explicit and little endian."""
    at = _MARK if head[_MARK - 4 : _MARK] == b"DICM" else 0
    while head[at : at + 2] == b"\2\0" and at + 12 <= len(head):
        if head[at + 4 : at + 6] in _LONG:
            at += 12 + int(struct.unpack_from("<I", head, at + 8)[0])
        else:
            at += 8 + int(struct.unpack_from("<H", head, at + 6)[0])
    return min(at, len(head))


def _pixel_bytes(header: Any) -> int:
    """What Rows, Columns, frames, samples and bits promise; 0 where there are none."""
    numbers = (header.get(key) for key in ("Rows", "Columns", "BitsAllocated"))
    rows, columns, bits = (int(number or 0) for number in numbers)
    frames, samples = (int(header.get(key) or 1) for key in ("NumberOfFrames", "SamplesPerPixel"))
    return (max(0, rows * columns * bits * frames * samples) + 7) // 8


def _check_free(promised: int, name: str) -> None:
    if promised > (free := memory.free()):
        raise MemoryExhaustedError(f"{name}: its pixels take {promised / 1e9:.1f} GB, {free / 1e9:.1f} GB are free")
