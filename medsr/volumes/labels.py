"""Label maps: recognised, never pushed through a network; and companions brought onto another grid."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from medsr.core.geometry import Grid, Shape
from medsr.io.volumes.base import Volume
from medsr.volumes.acquisition import nearest_index, slabs

FEW, MANY = 16, 1024
"""Up to FEW values make a label map in any case; up to MANY do where neighbours mostly agree."""
Array = NDArray


def is_labels(volume: Volume) -> bool:
    """Whether a volume holds the numbers of structures: its header says so, or `is_label_map` does."""
    return volume.labels or is_label_map(volume.stored)


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


def resampled_to(stored: NDArray, affine: NDArray[np.float64], grid: Grid, labels: bool) -> NDArray:
    """One volume onto any other grid, through both affines: labels nearest, images by cubic B-spline; 0 outside.

    `stored` (i, j, k) on `affine`; returns `grid.shape` in the stored dtype, rounded and clipped to what it holds.
    """
    from scipy.ndimage import map_coordinates, spline_filter

    mapping = np.linalg.inv(affine) @ grid.affine
    coefficients = stored if labels else spline_filter(stored.astype(np.float64), 3, np.float32, mode="reflect")
    moved = np.zeros(grid.shape, stored.dtype)
    for part in slabs(grid.shape):
        index = np.indices((part.stop - part.start, *grid.shape[1:]), np.float32).reshape(3, -1)
        index[0] += part.start
        source_index = (mapping[:3, :3] @ index + mapping[:3, 3:]).round(6)
        order = 0 if labels else 3
        values = map_coordinates(coefficients, source_index, order=order, mode="reflect", prefilter=False)
        limits = np.array(stored.shape)[:, None] - 0.5
        values[~((source_index >= -0.5) & (source_index <= limits)).all(axis=0)] = 0
        if stored.dtype.kind in "iu" and not labels:
            range_of = np.iinfo(stored.dtype)
            values = np.clip(np.rint(values), range_of.min, range_of.max)
        moved[part] = values.reshape(moved[part].shape).astype(stored.dtype)
    return moved
