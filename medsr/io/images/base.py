"""What every reader of 2D images gives and every writer takes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medsr.core.errors import InputError
from medsr.core.intensity import Window

PNG, JPEG, TIFF, DICOM = "PNG", "JPEG", "TIFF", "DICOM"
MAX_PIXELS = 400_000_000


@dataclass(frozen=True)
class Image:
    """One image as its file stores it.

    `pixels`: (height, width, channels), channels 1 or 3, the stored dtype and the stored values.
    `alpha`: (height, width) or None. `window`: what the values mean. `kind`: the file format it came in.
    `extra`: what only that format's writer understands (ICC profile, resolution, DICOM data set).
    `note`: what had to be assumed in reading, for the user to see; empty when the file says everything.
    `modality`: DICOM's term, where the file has one; `of_chest`, `of_retina`: whether its header names that part of the
    body, None: it names none. `padding`: the stored values, from and to, that mean background.
    """

    pixels: NDArray
    window: Window
    kind: str
    alpha: NDArray | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)
    note: str = ""
    modality: str = ""
    of_chest: bool | None = None
    of_retina: bool | None = None
    padding: tuple[int, int] | None = None

    def to_unit(self) -> NDArray[np.float32]:
        """(height, width, channels) float32; the window's full range is [0, 1]."""
        return self.window.to_unit(self.pixels)

    def with_unit(self, unit: NDArray, alpha: NDArray | None = None) -> Image:
        """The same kind of image holding new unit values, of any height and width."""
        pixels = self.window.to_stored(unit, self.pixels.dtype)
        return replace(self, pixels=pixels, alpha=alpha)

    def extra_for(self, keys: tuple[str, ...]) -> dict[str, Any]:
        """The entries of `extra` that are set, of those a writer knows."""
        return {key: self.extra[key] for key in keys if self.extra.get(key)}


def shape_pixels(array: NDArray, path: Path) -> tuple[NDArray, NDArray | None]:
    """(height, width[, channels]) to ((height, width, 1 or 3), alpha or None)."""
    if array.ndim == 2:
        array = array[:, :, None]
    if array.ndim != 3 or array.shape[2] not in (1, 2, 3, 4):
        raise InputError(f"{path}: expected one grey or colour image, found an array of shape {array.shape}")
    if array.dtype not in (np.uint8, np.uint16):
        raise InputError(f"{path}: {array.dtype} pixels are not handled, only 8- and 16-bit unsigned integers")
    colours = array.shape[2] - (1 - array.shape[2] % 2)
    alpha = array[:, :, -1] if array.shape[2] % 2 == 0 else None
    return np.ascontiguousarray(array[:, :, :colours]), alpha


def looked_up(table: NDArray, indices: NDArray) -> NDArray:
    """`table[indices]` for (height, width, ...), some rows at a time: numpy makes 8 bytes of every index."""
    values = np.empty(indices.shape + table.shape[1:], table.dtype)
    rows = max(1, (1 << 20) // max(1, indices[:1].size))
    for start in range(0, len(indices), rows):
        values[start : start + rows] = table[indices[start : start + rows].astype(np.intp)]
    return values


def window_of(dtype: np.dtype, bits: int | None = None, inverted: bool = False) -> Window:
    """The window of an unsigned dtype, or of the bits its file declares."""
    stored = dtype.itemsize * 8
    return Window.of_bits(bits or stored, inverted=inverted, store_bits=bits or stored)


def joined(image: Image) -> NDArray:
    """The pixels with their transparency, grey as (height, width): what file writers take."""
    planes = image.pixels if image.alpha is None else np.dstack([image.pixels, image.alpha])
    return planes[:, :, 0] if planes.shape[2] == 1 else planes


def resolution_within(image: Image, most: float) -> tuple[float, float] | None:
    """The image's pixels per inch (across, down); None where it names none, or more than `most`, a format's limit."""
    dpi = image.extra.get("dpi")
    if not dpi or not all(0.5 <= float(value) <= most for value in dpi):  # false for what is not a number, too
        return None
    return float(dpi[0]), float(dpi[1])
