"""How far a rigid registration is off, where it matters: at the edge of the object."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_erosion

from medsr.metrics.regions import foreground

MOST_POINTS = 20_000


def edge_points(unit: NDArray, affine: NDArray[np.float64]) -> NDArray[np.float64]:
    """(N, 3) in mm: the outermost voxels of the foreground of a volume in unit values, evenly thinned where many."""
    inside = foreground(unit[..., None])
    indices = np.argwhere(inside & ~binary_erosion(inside))
    indices = indices[:: -(-len(indices) // MOST_POINTS)]
    points: NDArray[np.float64] = indices @ affine[:3, :3].T + affine[:3, 3]
    return points


def displacement(
    estimate: NDArray[np.float64], truth: NDArray[np.float64], points: NDArray[np.float64]
) -> NDArray[np.float64]:
    """(N,) mm: how far each point is from where it should be, moved by `estimate` instead of `truth` (4, 4)."""
    off = (estimate - truth)[:3]
    distances: NDArray[np.float64] = np.linalg.norm(points @ off[:, :3].T + off[:, 3], axis=1)
    return distances
