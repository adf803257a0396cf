"""Another program's volume brought onto the grid of the ground truth, by its header."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from medsr.commands.evaluate.case import Mask
from medsr.core.errors import InputError
from medsr.core.geometry import ISOTROPIC_WITHIN, Grid
from medsr.core.types import Array
from medsr.volumes.stacks.on_grid import HERE, interpolated, weight

SAME_WITHIN = 0.02
"""Voxels that the corners of a grid may be off, as headers round; from there on a result is interpolated."""


def on_truth(path: Path, values: Array, source: Grid, grid: Grid, region: Mask) -> Array:
    """`values` on `source` brought onto `grid`, float32; where the grids are the same, the very values.

    Elsewhere by cubic B-spline, and 0 outside the box of `source`. `region`: where that must have voxels. Raises
    InputError, naming `path`, where voxels have another size than the grid's or the region is not covered.
    """
    if _same(source, grid):
        return values
    step = grid.spacing[0]
    ratios = np.array(source.spacing) / step
    what_to_do = "bring it onto the grid that `inputs` writes into the folder `grids`"
    if max(ratios.max(), 1 / ratios.min()) > ISOTROPIC_WITHIN:
        dims = " x ".join(f"{spacing:.4g}" for spacing in source.spacing)
        raise InputError(f"{path}: voxels of {dims} mm, the ground truth has {step:.4g} mm; {what_to_do}")
    covered = weight(source, grid, HERE) > 0
    missing = int((region & ~covered).sum())
    if missing:
        share = max(missing / int(region.sum()), 0.001)
        raise InputError(f"{path}: {share:.1%} of the foreground lies outside it, by its header; {what_to_do}")
    return np.where(covered, interpolated(values, source, grid, HERE), np.float32(0))


def _same(source: Grid, grid: Grid) -> bool:
    """Whether every voxel lies where that of the other grid does."""
    if source.shape != grid.shape:
        return False
    ends = [(0, n - 1) for n in grid.shape]
    corners = np.array([[i, j, k, 1.0] for i in ends[0] for j in ends[1] for k in ends[2]])
    off = (np.linalg.inv(grid.affine) @ source.affine @ corners.T - corners.T)[:3]
    return bool(np.abs(off).max() < SAME_WITHIN)
