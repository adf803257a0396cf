"""What a compressed DICOM frame says of itself must agree with what its header says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medsr.core.errors import InputError

JP2 = b"\0\0\0\x0cjP  \r\n\x87\n"
START_OF_J2K = b"\xff\x4f\xff\x51"
START_OF_JPEG = b"\xff\xd8"
SIZES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC} | {0xF7}
"""Markers of JPEG and JPEG-LS whose segments hold depth and size."""
WITHOUT_LENGTH = frozenset(range(0xD0, 0xD9)) | {0x01}
SCAN = 0xDA


@dataclass(frozen=True)
class Codestream:
    """Size, samples a pixel and bits a sample that compressed data state; `signed`: None where they cannot say it."""

    rows: int
    columns: int
    samples: int
    bits: int
    signed: bool | None


def check(dataset: Any, frame: bytes, name: str) -> Codestream | None:
    """What `frame` states, None for RLE. Raises InputError, naming `name`, where `dataset`'s header says otherwise.

    More bits than the header's are usual (all 16 of a word that holds 12); `checked_values` says whether they fit.
    Fewer are taken where all readers give the same values: not signed, or JPEG 2000, and as many bytes.
    """
    from pydicom.uid import RLELossless

    if dataset.file_meta.TransferSyntaxUID == RLELossless:
        return None
    stream = _jpeg_2000(frame) if frame[:12] == JP2 or frame[:4] == START_OF_J2K else _jpeg(frame)
    if stream is None:
        raise InputError(f"{name}: damaged: its compressed picture does not say its size and depth")
    expected = int(dataset.Rows), int(dataset.Columns), int(dataset.get("SamplesPerPixel") or 1)
    if (stream.rows, stream.columns, stream.samples) != expected:
        raise InputError(
            f"{name}: damaged: its compressed picture is {stream.columns}x{stream.rows} of {stream.samples} samples, "
            f"its header says {expected[1]}x{expected[0]} of {expected[2]}"
        )
    stored, allocated = int(dataset.BitsStored), int(dataset.BitsAllocated)
    signed = bool(dataset.get("PixelRepresentation"))
    fewer = stream.bits < stored and (stream.bits <= 8 < stored or (signed and stream.signed is None))
    if fewer or stream.bits > allocated:
        raise InputError(
            f"{name}: damaged: its compressed picture has {stream.bits} bits, its header says {stored} of {allocated}"
        )
    if stream.signed and not signed:  # the other way round some scanners write, and its bits are taken as they are
        raise InputError(f"{name}: damaged: its compressed values are signed, its header says they are not")
    return stream


def checked_values(dataset: Any, stream: Codestream | None, pixels: NDArray, name: str) -> NDArray:
    """`pixels` that were decoded with all bits of `stream`, as values of the header's bits.

    Raises InputError where a picture of more bits than the header's holds values that do not fit the header's.
    """
    stored = int(dataset.BitsStored)
    if stream is None or stream.bits <= stored or not pixels.size:
        return pixels
    signed = bool(dataset.get("PixelRepresentation"))
    lowest, highest = (-(1 << (stored - 1)), (1 << (stored - 1)) - 1) if signed else (0, (1 << stored) - 1)
    low, high = int(np.min(pixels)), int(np.max(pixels))
    if lowest <= low and high <= highest:
        return pixels
    if signed and stream.signed is None and low >= 0 and high < 1 << stored:  # the sign is the highest bit stored
        return ((pixels.astype(np.int32) ^ (highest + 1)) - (highest + 1)).astype(pixels.dtype)
    raise InputError(
        f"{name}: damaged: its compressed values of {stream.bits} bits, {low} to {high}, do not fit the {stored} "
        "bits of its header"
    )


def _jpeg(content: bytes) -> Codestream | None:
    """Of JPEG and JPEG-LS, whose segments are walked by their lengths."""
    offset = 2 if content[:2] == START_OF_JPEG else len(content)
    while offset + 4 <= len(content) and content[offset] == 0xFF:
        marker = content[offset + 1]
        if marker in SIZES and offset + 10 <= len(content):
            rows, columns = (_number(content, offset + at, 2) for at in (5, 7))
            return Codestream(rows, columns, content[offset + 9], content[offset + 4], None)
        if marker == SCAN:
            break
        if marker == 0xFF:  # a byte of filling
            offset += 1
        else:
            offset += 2 if marker in WITHOUT_LENGTH else 2 + _number(content, offset + 2, 2)
    return None


def _jpeg_2000(content: bytes) -> Codestream | None:
    """Of JPEG 2000, high-throughput or not, whose first segment says it; None also where samples differ in it."""
    start = _start_in_boxes(content) if content[:12] == JP2 else 0
    if content[start : start + 4] != START_OF_J2K or start + 42 > len(content):
        return None
    right, lower, left, upper = (_number(content, start + at, 4) for at in (8, 12, 16, 20))
    samples = _number(content, start + 40, 2)
    parts = content[start + 42 : start + 42 + 3 * samples]
    if len(parts) != 3 * samples or len({parts[at : at + 3] for at in range(0, len(parts), 3)}) != 1:
        return None
    if parts[1:3] != b"\1\1":  # colours of less resolution than the grey
        return None
    return Codestream(lower - upper, right - left, samples, (parts[0] & 127) + 1, bool(parts[0] >> 7))


def _start_in_boxes(content: bytes) -> int:
    """Where the codestream of a JP2 file begins; its end where there is none."""
    offset = 0
    while offset + 8 <= len(content):
        length, kind, head = _number(content, offset, 4), content[offset + 4 : offset + 8], 8
        if length == 1:
            length, head = _number(content, offset + 8, 8), 16
        if kind == b"jp2c":
            return offset + head
        if length < head:
            break
        offset += length
    return len(content)


def _number(content: bytes, offset: int, length: int) -> int:
    return int.from_bytes(content[offset : offset + length], "big")
