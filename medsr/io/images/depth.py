"""How many bits 16-bit files hold that do not declare it: one decision for all files of a command.

No single pixel decides: a hot one would make a whole film 16 times darker.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from medsr.core.errors import InputError
from medsr.core.intensity import Window, bit_range
from medsr.io.images.base import DICOM, Image

USUAL = (12, 14, 16)
"""Depths above 8 bits. Never 8: a dim 12-bit image is not an 8-bit one."""
HOT = 0.001
"""Of an image's values: so many may lie above its depth (hot pixels of a detector)."""
FILES, ANY = "", "*"
"""The series of all files that are not DICOM; whatever series there is."""
BLOCK = 1 << 22
"""Values that are compared at once."""


def is_open(image: Image) -> bool:
    """Whether its file leaves open how many bits it holds. DICOM files that declare 16 bits often hold 12."""
    if image.pixels.dtype.itemsize != 2:
        return False
    declared = image.extra.get("declared")
    return declared == 16 if image.kind == DICOM else not declared


def series_of(image: Image) -> str:
    """What shares one depth: a DICOM series; of other files all that are given together."""
    series = image.extra.get("series")
    return FILES if series is None else series or "DICOM without a series"


def needed(image: Image) -> int:
    """The narrowest usual depth that holds all but a few of its values; of PNG's sBIT that, or 16."""
    significant = image.extra.get("significant") or 0
    usual = (significant, 16) if 8 < significant < 16 else USUAL
    return next(bits for bits in usual if bits == 16 or above(image.pixels, bits) <= allowed(image.pixels))


def above(pixels: NDArray, bits: int) -> int:
    """How many values so many bits cannot hold."""
    least, most = bit_range(bits, pixels.dtype.kind == "i")
    flat = pixels.reshape(-1)
    parts = (flat[start : start + BLOCK] for start in range(0, flat.size, BLOCK))  # for less memory
    return sum(int(np.count_nonzero((part > most) | (part < least))) for part in parts)


def allowed(pixels: NDArray) -> int:
    """How many values may lie above the depth."""
    return max(1, int(HOT * pixels.size))


def settled(image: Image, bits: int | None, assumed: Mapping[str, int], path: Path) -> Image:
    """The image with the depth of its values settled: `bits` where given, else what was assumed, else its own need.

    `extra['assumed_bits']` says what was assumed. Raises InputError where the values do not fit `bits`.
    """
    if not is_open(image):
        return image
    together = assumed.get(series_of(image)) or assumed.get(ANY)
    used = bits or together or needed(image)
    beyond = above(image.pixels, used)
    if bits and beyond > allowed(image.pixels):
        largest = int(image.pixels.max())
        raise InputError(f"{path}: holds {largest}, more than the {bits} bits given ({beyond} values are)")
    signed = image.pixels.dtype.kind == "i"
    store_bits = bits if bits and not beyond else 16  # only what is given limits what is written
    window = Window.of_bits(used, signed=signed, inverted=image.window.inverted, store_bits=store_bits)
    usual = bits or (used == 16 and needed(image) == 16)  # nothing that another way of calling would change
    notes = [image.note, "" if usual else _note(image, used, bool(together)), _hot(beyond)]
    extra = image.extra if bits else dict(image.extra) | {"assumed_bits": used}
    return replace(image, window=window, extra=extra, note="; ".join(filter(None, notes)))


def _note(image: Image, used: int, together: bool) -> str:
    what = "declares 16 bits" if image.kind == DICOM else "16-bit file without declared depth"
    largest = int(image.pixels.max())
    how = "as all such images here" if together else "by its own values"
    return f"{what}; largest value {largest}, read as {used}-bit {how}"


def _hot(beyond: int) -> str:
    values = f"{beyond} values are" if beyond > 1 else "1 value is"
    return f"{values} above that depth and kept (hot pixels, or dense bone in CT)" if beyond else ""
