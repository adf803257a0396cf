"""Pixels that a file declares to be background: no part of the picture, exact in the result, and no edge to ring at."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from medsr.io.images.base import Image


def padding_of(dataset: Any) -> tuple[int, int] | None:
    """The stored values from PixelPaddingValue to its limit (PS3.3 C.7.5.1.1.2); None where there are none."""
    try:
        ends = [dataset.get(keyword) for keyword in ("PixelPaddingValue", "PixelPaddingRangeLimit")]
        values = [int(value) for value in ends if value is not None]
    except (TypeError, ValueError):  # not a number, or several
        return None
    if ends[0] is None or not values:
        return None
    if dataset.PixelRepresentation:  # some write the bits of a number of the other kind
        values = [value - (1 << 16) if value >= 1 << 15 else value for value in values]
    else:
        values = [value + (1 << 16) if value < 0 else value for value in values]
    return min(values), max(values)


def mask_of(image: Image) -> NDArray[np.bool_] | None:
    """(height, width), true where the background is; None where there is none, or nothing else."""
    if image.padding is None or image.pixels.shape[2] != 1:
        return None
    low, high = image.padding
    stored = image.pixels[:, :, 0]
    mask: NDArray[np.bool_] = (stored >= low) & (stored <= high)
    return mask if mask.any() and not mask.all() else None


def filled(image: Image) -> NDArray[np.float32]:
    """The unit values, with the nearest pixel of the picture in place of every one of the background."""
    unit = image.to_unit()
    mask = mask_of(image)
    if mask is None:
        return unit
    from scipy.ndimage import distance_transform_edt

    rows, columns = distance_transform_edt(mask, return_distances=False, return_indices=True)
    return unit[rows, columns]


def restore(image: Image, pixels: NDArray) -> None:
    """Put the background back into enlarged pixels, in place: each is what the old pixel at its place was."""
    mask = mask_of(image)
    if mask is None:
        return
    lines = [
        np.minimum((np.arange(new) + 0.5) * old // new, old - 1).astype(int)
        for new, old in zip(pixels.shape[:2], mask.shape, strict=True)
    ]
    index = np.ix_(*lines)
    pixels[mask[index]] = image.pixels[index][mask[index]]
