"""Images and volumes on a coarser grid: where tissue lies needs no fine detail, and is found in a moment."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_fill_holes, label

from medsr.core.types import Array

Mask = NDArray[np.bool_]


def reduced(values: Array, factor: int, axes: int) -> Array:
    """Means of blocks of `factor` along each of the first `axes`; what is no whole block at the end is left out."""
    from skimage.measure import block_reduce

    whole = tuple(slice(0, max(length // factor, 1) * factor) for length in values.shape[:axes])
    blocks = (factor,) * axes + (1,) * (values.ndim - axes)
    result: Array = block_reduce(values[whole], blocks, np.mean).astype(np.float32)
    return result


def enlarged(mask: Mask, factor: int, shape: tuple[int, ...]) -> Mask:
    """A mask of blocks, on the grid of `shape` that they were made of; False where there was no whole block."""
    for axis in range(mask.ndim):
        mask = mask.repeat(factor, axis)
    result = np.zeros(shape, bool)
    common = tuple(slice(0, min(new, old)) for new, old in zip(shape, mask.shape, strict=True))
    result[common] = mask[common]
    return result


def foreground(values: Array) -> Mask:
    """The largest connected part above half of Otsu's threshold, its holes filled; nothing where all is the same."""
    from skimage.filters import threshold_otsu

    if values.min() == values.max():
        return np.zeros(values.shape, bool)
    darkest = float(values.min())
    bright = values > darkest + (threshold_otsu(values) - darkest) / 2
    filled: Mask = binary_fill_holes(largest_parts(bright, 1.0))
    return filled


def largest_parts(mask: Mask, least: float) -> Mask:
    """The connected parts of at least `least` times the volume of the largest."""
    parts, _ = label(mask)
    volumes = np.bincount(parts.ravel())
    volumes[0] = 0
    kept: Mask = ((volumes > 0) & (volumes >= least * volumes.max()))[parts]
    return kept
