"""How a picture is shown: the orientation that EXIF and TIFF tag 274 name, 1 (as stored) to 8."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow

from medsr.io.base import Image

UPRIGHT = 1
TAG = 274
_TURNS: dict[int, Callable[[NDArray], NDArray]] = {
    2: lambda stored: stored[:, ::-1],
    3: lambda stored: stored[::-1, ::-1],
    4: lambda stored: stored[::-1],
    5: lambda stored: stored.swapaxes(0, 1),
    6: lambda stored: np.rot90(stored, -1),
    7: lambda stored: stored[::-1, ::-1].swapaxes(0, 1),
    8: lambda stored: np.rot90(stored, 1),
}
_SHOWN_ONCE = ("exif", "dpi", "chunks", "orientation")
"""Of what belongs to a file: what says how it is shown, and would turn it again."""


def valid(value: Any) -> int:
    """An orientation as a file names it; 1 for anything that is not one."""
    return int(value) if isinstance(value, int) and value in _TURNS else UPRIGHT


def turned(stored: NDArray, orientation: int) -> NDArray:
    """(H, W[, C]) as stored to what is shown."""
    turn = _TURNS.get(orientation)
    return stored if turn is None else np.ascontiguousarray(turn(stored))


def as_shown(image: Image) -> Image:
    """The image with its pixels as programs show them, and without the tag that says so; itself where it has none."""
    orientation = image.extra.get("orientation", UPRIGHT)
    if orientation == UPRIGHT:
        return image
    alpha = None if image.alpha is None else turned(image.alpha, orientation)
    extra = {key: value for key, value in image.extra.items() if key not in _SHOWN_ONCE}
    return replace(image, pixels=turned(image.pixels, orientation), alpha=alpha, extra=extra)


def stated(exif: bytes, xmp: bytes | str = b"") -> int:
    """The orientation that EXIF names; where it names none, XMP's, as other programs take it; else 1."""
    if value := _of_exif(exif).get(TAG):
        return valid(value)
    text = xmp.encode() if isinstance(xmp, str) else xmp
    found = re.search(rb"tiff:Orientation(?:=\"|>)([1-8])", text)
    return valid(int(found[1])) if found else UPRIGHT


def exif_saying(exif: bytes, orientation: int) -> bytes:
    """EXIF that names this orientation: as it is where it does already."""
    if stated(exif) == orientation:
        return exif
    changed = _of_exif(exif)
    changed[TAG] = orientation
    return changed.tobytes()


def _of_exif(exif: bytes) -> Pillow.Exif:
    """Its entries; none where it is damaged, as Pillow raises whatever it likes."""
    entries = Pillow.Exif()
    try:
        entries.load(exif)
        entries.get(TAG)
    except Exception:
        return Pillow.Exif()
    return entries
