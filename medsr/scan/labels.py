"""Label maps: recognised, never pushed through a network; and companions brought onto another grid."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from medsr.geometry import Grid, Shape
from medsr.infer.acquisition import nearest_index

FEW, MANY = 16, 1024
"""Up to FEW values make a label map in any case; up to MANY do where neighbours mostly agree."""
Array = NDArray


def is_label_map(stored: NDArray) -> bool:
    """Whether the values are few and whole, as the numbers of structures are, and lie in patches.

    Stored as integers or as floats that are whole. One value throughout is a constant image, not a label map.
    """
    sample = stored.reshape(-1, order="A")[:: max(1, stored.size // 100_000)]
    if len(np.unique(sample)) > MANY or (stored.dtype.kind == "f" and not (sample == np.rint(sample)).all()):
        return False
    if stored.dtype.kind == "f" and not all((part == np.rint(part)).all() for part in stored):
        return False
    values = np.unique(stored)
    if not 2 <= len(values) <= MANY:
        return False
    return len(values) <= FEW or _agreement(stored) > 0.5


def _agreement(stored: NDArray) -> float:
    """Of neighbours along each axis that are not both background, the share with equal values."""
    values, counts = np.unique(stored, return_counts=True)
    background = values[counts.argmax()]
    equal = different = 0
    for axis in range(3):
        ahead, behind = np.delete(stored, 0, axis), np.delete(stored, -1, axis)
        inside = (ahead != background) | (behind != background)
        same = int(np.count_nonzero((ahead == behind) & inside))
        equal, different = equal + same, different + int(np.count_nonzero(inside)) - same
    return equal / max(1, equal + different)


def nearest(stored: NDArray, fine: Shape) -> NDArray:
    """(i, j, k[, t]) onto `fine` voxels over the same box: each takes the value of the voxel its centre lies in."""
    index = [nearest_index(old, new) for old, new in zip(stored.shape, fine, strict=False)]
    return stored[np.ix_(*index)]


def onto(stored: NDArray, affine: NDArray[np.float64], grid: Grid, labels: bool) -> NDArray:
    """One volume onto any other grid, through both affines: labels nearest, images by cubic B-spline; 0 outside.

    `stored` (i, j, k) on `affine`; returns `grid.shape` in the stored dtype, rounded and clipped to what it holds.
    """
    from scipy.ndimage import affine_transform

    mapping = np.linalg.inv(affine) @ grid.affine
    order = 0 if labels else 3
    given = stored if labels else stored.astype(np.float32)
    moved = affine_transform(
        given, mapping[:3, :3], mapping[:3, 3], output_shape=grid.shape, order=order, mode="grid-constant", cval=0.0
    )
    if moved.dtype == stored.dtype:
        return moved
    if stored.dtype.kind in "iu":
        limits = np.iinfo(stored.dtype)
        return np.clip(np.rint(moved), limits.min, limits.max).astype(stored.dtype)
    return moved.astype(stored.dtype)
