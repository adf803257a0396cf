"""Lesions drawn into ground truth."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from medsr.core.types import Array
from medsr.lesions.lesion import Lesion
from medsr.lesions.shapes import profile, reach

SUPERSAMPLING = 5
"""Points along each axis of a pixel or voxel: a lesion's edge is averaged over it, as a detector or scanner does."""
NEIGHBOURHOOD = 2.0
"""Least distance from a lesion's edge, in pixels or voxels, that counts as its local tissue."""
Window = tuple[slice, ...]


def difference(truth: Array, lesion: Lesion, step: float) -> tuple[Window, Array]:
    """Where a lesion lies, and what it adds there: contrast x local mean x colour x shape.

    The local mean is that of `truth` within `lesion.size` of the centre, but at least two pixels or voxels beyond the
    lesion's edge, for each channel. `lesion.size` is

    - ellipsoid (MRI): the full width at half maximum; the edge is softened over 0.7 mm,
    - nodule (radiograph): the diameter where the designer nodule (1 - (r/R)^2)^1.5 ends (Burgess, Jacobson and Judy
      2001); its full width at half maximum is 0.61 of that,
    - spot (microaneurysm): the full width at half maximum; it is soft all over and ends at twice that width,
    - blot (haemorrhage), exudate: the diameter of the disc of the same area; an irregular outline.

    Args:
        truth: (H, W, C) or (I, J, K), isotropic. Without the lesion.
        lesion: Its centre lies within `truth`.
        step: From one pixel or voxel to the next, in the unit of `lesion.size`.

    Returns:
        A window of the array, cut at its border, and what is added there, (h, w, C) or (i, j, k).
    """
    axes = len(lesion.centre)
    window = _around(lesion.centre, reach(lesion) / step + 1, truth.shape)
    shape = _averaged(lesion, window, step)
    amount = lesion.contrast * _local_mean(truth, lesion, step)
    if truth.ndim == axes:
        return window, (amount * shape).astype(np.float32)
    colour = np.asarray(lesion.colour if truth.shape[-1] == 3 else (1.0,) * truth.shape[-1])
    return window, (shape[..., None] * (amount * colour)).astype(np.float32)


def draw(truth: Array, lesions: Iterable[Lesion], step: float) -> Array:
    """A copy of `truth` with the lesions; each is drawn relative to `truth` itself.

    Images, (H, W, C), are clipped to [0, 1], and not rounded to 8 bits. Volumes, (I, J, K), are not clipped.
    """
    result = truth.astype(np.float32)
    for lesion in lesions:
        window, added = difference(truth, lesion, step)
        result[window] += added
        if truth.ndim > len(lesion.centre):
            np.clip(result[window], 0, 1, out=result[window])
    return result


def _around(centre: tuple[int, ...], radius: float, shape: tuple[int, ...]) -> Window:
    """All indices within `radius` of the centre along each axis, within an array."""
    whole = int(np.ceil(radius))
    return tuple(
        slice(max(middle - whole, 0), min(middle + whole + 1, length))
        for middle, length in zip(centre, shape, strict=False)
    )


def _averaged(lesion: Lesion, window: Window, step: float) -> NDArray[np.float64]:
    """The lesion's shape, in [0, 1], averaged over every pixel or voxel of a window."""
    n = SUPERSAMPLING
    within = (np.arange(n) + 0.5) / n - 0.5
    points = [
        ((np.arange(part.start, part.stop) - middle)[:, None] + within).ravel() * step
        for part, middle in zip(window, lesion.centre, strict=True)
    ]
    values = profile(lesion, np.meshgrid(*points, indexing="ij", sparse=True))
    split = [number for part in window for number in (part.stop - part.start, n)]
    averaged: NDArray[np.float64] = values.reshape(split).mean(axis=tuple(range(1, 2 * len(window), 2)))
    return averaged


def _local_mean(truth: Array, lesion: Lesion, step: float) -> NDArray[np.float64]:
    """Of each channel of an image, (C,); of a volume a single number, ()."""
    radius = max(lesion.size / step, lesion.size / (2 * step) + NEIGHBOURHOOD)
    window = _around(lesion.centre, radius, truth.shape)
    offsets = np.ogrid[window]
    squares = sum((axis - middle) ** 2 for axis, middle in zip(offsets, lesion.centre, strict=True))
    mean: NDArray[np.float64] = truth[window][squares <= radius**2].mean(axis=0, dtype=np.float64)
    return mean
