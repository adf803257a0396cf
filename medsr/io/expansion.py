"""How much more than itself a file may unpack to: what no scan reaches is refused before it fills the memory."""

from __future__ import annotations

import gzip
import io
import struct
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from medsr.core.errors import InputError

LARGE = 500_000_000
"""Bytes that anything may unpack to, however small it is: masks pack a thousand times."""
MOST_DENSE = 100
"""Times its packed size that something larger may unpack to: scans stay far below, bombs do not."""
MEMBERS, BYTES_A_MEMBER = 20_000, 2000
"""Files that any archive may hold, and one more for so many of its bytes: images take more."""
BYTES_AN_ENTRY = 300
"""Of a zip's list of members, on average: long names and times of the system."""
BLOCK = 1 << 18
GZIP = b"\x1f\x8b"
_END = b"PK\5\6"


def check(unpacked: float, packed: int, name: str) -> None:
    """Raise InputError for what would unpack to more than any scan of that packed size."""
    if unpacked > most_bytes(packed):
        raise InputError(
            f"{name}: would unpack to {unpacked / 1e6:.0f} MB, {unpacked / max(packed, 1):.0f} times its size; no scan "
            "packs so well. If you trust it, unpack it with another program first"
        )


def most_bytes(packed: int) -> int:
    """How many bytes something of `packed` bytes may unpack to."""
    return max(LARGE, MOST_DENSE * packed)


def most_members(packed: int) -> int:
    """How many files an archive of `packed` bytes may hold."""
    return MEMBERS + packed // BYTES_A_MEMBER


def open_zip(path: Path) -> zipfile.ZipFile:
    """A zip. Raises InputError where it holds more files than one of its size, if possible before they are listed."""
    size = path.stat().st_size
    most = most_members(size)
    why = f"{path}: holds more than {most} files, too many for its size; unpack it yourself"
    with path.open("rb") as stream:
        stream.seek(max(0, size - (1 << 16) - len(_END)))
        _, mark, end = stream.read().rpartition(_END)
    stated = struct.unpack_from("<I", end, 8)[0] if mark and len(end) >= 12 else 0
    if (min(size, stated) if stated < 0xFFFFFFFF else 0) > most * BYTES_AN_ENTRY:
        raise InputError(why)
    archive = zipfile.ZipFile(path)
    if len(archive.filelist) > most:
        archive.close()
        raise InputError(why)
    return archive


class Forward:
    """A stream over blocks as they are unpacked, of which only the last 64 kB are kept for going back.

    Reading more than `most` bytes raises InputError with `why`.
    """

    KEPT = 1 << 16

    def __init__(self, blocks: Iterator[bytes], most: int, why: str) -> None:
        self._blocks, self._most, self._why = blocks, most, why
        self._window, self._start, self._at = b"", 0, 0

    def read(self, size: int = -1) -> bytes:
        """At most `size` bytes; all that follow where it is negative."""
        sink = io.BytesIO()
        while size < 0 or sink.tell() < size:
            inside = self._at - self._start
            part = self._window[inside:] if size < 0 else self._window[inside : inside + size - sink.tell()]
            if not part and not self._more():
                break
            self._at += sink.write(part)
        return sink.getvalue()

    def seek(self, offset: int, whence: int = 0) -> int:
        """Forward to anywhere, back as far as is kept. Raises InputError beyond."""
        target = offset + (self._at if whence == 1 else 0)
        while target > self._start + len(self._window):
            self._at = self._start + len(self._window)  # what is passed over is not kept
            if not self._more():
                break
        if whence == 2 or target < self._start:
            raise InputError(f"{self._why}: damaged: its parts do not follow each other")
        self._at = min(target, self._start + len(self._window))
        return self._at

    def tell(self) -> int:
        """The place of the next byte."""
        return self._at

    def _more(self) -> bool:
        block = next(self._blocks, b"")
        whole = self._window + block
        dropped = max(0, min(len(whole) - self.KEPT, self._at - self._start))
        self._window, self._start = whole[dropped:], self._start + dropped
        if self._start + len(self._window) > self._most:
            raise InputError(self._why)
        return bool(block)


def blocks_of(stream: IO[bytes]) -> Iterator[bytes]:
    """What a stream holds; where gzip packed it, what was packed."""
    stream.seek(0)
    begin = stream.read(2)
    stream.seek(0)
    source = gzip.GzipFile(fileobj=stream) if begin == GZIP else stream
    while block := source.read(BLOCK):
        yield block


def inflated(blocks: Iterator[bytes]) -> Iterator[bytes]:
    """What deflate packed without any frame around. Raises EOFError where its end is missing."""
    unpack = zlib.decompressobj(-zlib.MAX_WBITS)
    for block in blocks:
        rest = block
        while rest and not unpack.eof:
            yield unpack.decompress(rest, BLOCK)
            rest = unpack.unconsumed_tail
    while block := unpack.decompress(unpack.unconsumed_tail, BLOCK):
        yield block
    if not unpack.eof:
        raise EOFError("its compressed data end too early")
