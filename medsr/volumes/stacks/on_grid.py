"""A scan on another grid that lies elsewhere."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from medsr.core.geometry import Grid
from medsr.core.types import Array
from medsr.io.volumes.base import Volume

HERE = np.eye(4)
FEATHER = 10.0
"""mm from the border of a scan's box inwards over which its weight grows: no seam where one scan ends."""
LEAST_WEIGHT = 0.05


def placed(volume: Volume, grid: Grid, motion: NDArray[np.float64] = HERE) -> Array:
    """The stored values of the first volume on `grid`: (I, J, K) float32, by cubic B-spline, the nearest edge outside.

    `motion`: (4, 4) mm, RAS, from a point of the grid's space to where the volume shows it.
    """
    stored = volume.stored if volume.stored.ndim == 3 else volume.stored[..., 0]
    return interpolated(stored, volume.grid, grid, motion)


def interpolated(values: NDArray, source: Grid, grid: Grid, motion: NDArray[np.float64]) -> Array:
    """As `placed`, of values on the grid `source`."""
    from scipy.ndimage import affine_transform

    matrix = index_matrix(source, grid, motion)
    result: Array = affine_transform(
        values.astype(np.float32), matrix[:3, :3], matrix[:3, 3], grid.shape, np.float32, 3, "nearest"
    )
    return result


def coverage(volume: Volume, grid: Grid, motion: NDArray[np.float64] = HERE) -> NDArray[np.bool_]:
    """Which voxels of `grid` have their centre in the volume's box."""
    return weight(volume.grid, grid, motion) > 0


def weight(source: Grid, grid: Grid, motion: NDArray[np.float64]) -> Array:
    """(grid shape) float32: 0 outside the box of `source`, 1 well inside, and in between near its border."""
    matrix = index_matrix(source, grid, motion)
    nearest = np.full(grid.shape, np.inf, np.float32)
    lines = [np.arange(n, dtype=np.float32) for n in grid.shape]
    for axis, length in enumerate(source.shape):
        i, j, k = (np.float32(row) * line for row, line in zip(matrix[axis, :3], lines, strict=True))
        index = i[:, None, None] + j[:, None] + (k + np.float32(matrix[axis, 3]))
        step = source.spacing[axis]
        np.minimum(nearest, (index + 0.5) * step, out=nearest)
        np.minimum(nearest, (length - 0.5 - index) * step, out=nearest)
    feathered = (nearest / FEATHER).clip(LEAST_WEIGHT, 1)
    feathered[nearest < -1e-3] = 0
    return feathered


def index_matrix(source: Grid, grid: Grid, motion: NDArray[np.float64]) -> NDArray[np.float64]:
    """(4, 4): index on `grid` to index on `source`."""
    result: NDArray[np.float64] = np.linalg.inv(source.affine) @ motion @ grid.affine
    return result
