"""PGM and PPM (Netpbm), plain and raw, of any largest value: 8 bits, or 16 where that is above 255."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from medsr.core.errors import InputError
from medsr.io.images.base import MAX_PIXELS, PNG, Image, looked_up, shape_pixels, window_of

CHANNELS = {b"P2": 1, b"P3": 3, b"P5": 1, b"P6": 3}
PLAIN = (b"P2", b"P3")
_BLANKS = b" \t\r\n\v\f"
_GAP = rb"(?:\s|#[^\r\n]*[\r\n])+"
_HEADER = re.compile(rb"(P[2356])" + _GAP + rb"(\d{1,9})" + _GAP + rb"(\d{1,9})" + _GAP + rb"(\d{1,6})(?:#[^\r\n]*)?\s")


def read(path: Path) -> Image:
    """Values are brought to all of 8 or 16 bits: PNG, which the result becomes, has no largest value of its own.

    Pillow reads 16-bit colours as 8 bits. Raises InputError for a damaged file, and for one of several pictures.
    """
    content = path.read_bytes()
    if content[:2] in (b"P1", b"P4"):
        raise InputError(f"{path}: a 1-bit image has no intensities to super-resolve")
    if (header := _HEADER.match(content)) is None:
        raise InputError(f"{path}: damaged: its header is not that of a PGM or PPM")
    kind, (width, height, largest) = header[1], map(int, header.groups()[1:])
    if not 0 < largest < 1 << 16 or not width * height:
        raise InputError(f"{path}: damaged: {width}x{height} pixels up to {largest}")
    if width * height > MAX_PIXELS:
        raise InputError(f"{path}: {width}x{height} is more than {MAX_PIXELS} pixels")
    shape = (height, width, CHANNELS[kind])
    values = (_plain if kind in PLAIN else _raw)(content, header.end(), shape, largest, path)
    if values.max() > largest:
        raise InputError(f"{path}: damaged: holds {values.max()}, more than its largest value {largest}")
    pixels, _ = shape_pixels(_full_range(values, largest), path)
    extra = {"declared": 16} if pixels.dtype == np.uint16 else {}
    return Image(pixels, window_of(pixels.dtype), PNG, extra=extra)


def _raw(content: bytes, start: int, shape: tuple[int, ...], largest: int, path: Path) -> NDArray:
    dtype = np.dtype(">u2" if largest > 255 else "u1")
    size = int(np.prod(shape)) * dtype.itemsize
    if len(content) - start < size:
        raise InputError(f"{path}: damaged: {len(content) - start} bytes of pixels, expected {size}")
    if content[start + size :].strip():
        raise InputError(f"{path}: holds more than one picture, or data left over; only single images are handled")
    return np.frombuffer(content, dtype, int(np.prod(shape)), start).reshape(shape)


def _plain(content: bytes, start: int, shape: tuple[int, ...], _: int, path: Path) -> NDArray:
    text = re.sub(rb"#[^\r\n]*", b"", content[start:])
    count = int(np.prod(shape))
    if text.translate(None, b"0123456789" + _BLANKS):
        raise InputError(f"{path}: damaged: its pixels are not whole numbers")
    values = np.fromstring(text.decode("ascii"), np.float64, sep=" ")  # exact up to far above any largest value
    if len(values) != count:
        raise InputError(f"{path}: damaged: {len(values)} values, expected {count} whole numbers")
    return values.reshape(shape)


def _full_range(values: NDArray, largest: int) -> NDArray:
    dtype, full = (np.uint8, 255) if largest < 256 else (np.uint16, 65535)
    if largest == full:
        return values.astype(dtype)
    table = ((np.arange(largest + 1) * full + largest // 2) // largest).astype(dtype)
    return looked_up(table, values)
