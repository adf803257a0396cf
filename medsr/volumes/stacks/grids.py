"""The grid that several scans are put together on."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from medsr.core.errors import InputError, UsageError
from medsr.core.geometry import Grid, Shape
from medsr.volumes.stacks.acquired import SliceStack
from medsr.volumes.stacks.on_grid import index_matrix, weight
from medsr.volumes.stacks.request import Extent

FINER = 16
"""As for a single scan (`geometry.finer`)."""
MARGIN, FADE = 10, 8
"""Voxels around the result in which it is computed as well, and in the outermost of which it fades out."""


def even(reference: Grid, step: float) -> Grid:
    """Voxels of `step` mm in every direction over the box of `reference`, with its middle and its axes.

    Whole voxels fill the box to within half of one at each end.
    """
    lengths = np.array(reference.shape) * reference.spacing
    i, j, k = (max(2, round(float(length) / step)) for length in lengths)
    middle = reference.affine @ [*((n - 1) / 2 for n in reference.shape), 1.0]
    affine = np.eye(4)
    affine[:3, :3] = reference.affine[:3, :3] / reference.spacing * step
    affine[:3, 3] = middle[:3] - affine[:3, :3] @ ((np.array([i, j, k]) - 1) / 2)
    return Grid((i, j, k), affine)


def extended(grid: Grid, others: Sequence[Grid], motions: Sequence[NDArray[np.float64]], extent: Extent) -> Grid:
    """`grid` grown or cut by whole voxels to hold all boxes, or what is in all of them.

    `motions`: of each other, (4, 4) mm, from the space of `grid` to its own. Raises InputError where nothing is in all.
    """
    if extent == "first":
        return grid
    low, high = np.full(3, -0.5), np.array(grid.shape) - 0.5
    for other, motion in zip(others, motions, strict=True):
        ends = [(-0.5, n - 0.5) for n in other.shape]
        corners = np.array([[i, j, k, 1.0] for i in ends[0] for j in ends[1] for k in ends[2]])
        places = (corners @ np.linalg.inv(index_matrix(other, grid, motion)).T)[:, :3]
        ordered = np.sort(places, axis=0)
        if extent == "union":
            low, high = np.minimum(low, ordered[0]), np.maximum(high, ordered[-1])
        else:  # of the four corners of a face the innermost
            low, high = np.maximum(low, ordered[3]), np.minimum(high, ordered[4])
    first = np.ceil(np.round(low + 0.5, 3)) if extent == "intersection" else np.floor(np.round(low + 0.5, 3))
    last = np.floor(np.round(high + 0.5, 3)) if extent == "intersection" else np.ceil(np.round(high + 0.5, 3))
    i, j, k = (int(n) for n in last - first)
    if min(i, j, k) < 2:
        raise InputError("`extent=intersection`: no box along the first scan's axes lies in all scans")
    return moved(grid, first, (i, j, k))


def moved(grid: Grid, first: NDArray[np.float64], shape: Shape) -> Grid:
    """The part of a grid, or more than it, that begins at the index `first`."""
    affine = grid.affine.copy()
    affine[:3, 3] += affine[:3, :3] @ first
    return Grid(shape, affine)


def with_margin(grid: Grid) -> Grid:
    i, j, k = (n + 2 * MARGIN for n in grid.shape)
    return moved(grid, np.full(3, -float(MARGIN)), (i, j, k))


def inner(grid: Grid) -> tuple[slice, slice, slice]:
    """Where the grid with its margin does not fade."""
    i, j, k = (slice(FADE, n - FADE) for n in grid.shape)
    return i, j, k


def window(shape: Shape) -> NDArray[np.float32]:
    """1 inside, falling to 0 over FADE voxels at every border."""
    result = np.ones(shape, np.float32)
    for axis, length in enumerate(shape):
        line = np.ones(length, np.float32)
        fall = (0.5 - 0.5 * np.cos(np.pi * (np.arange(FADE) + 0.5) / FADE)).astype(np.float32)
        line[:FADE], line[length - FADE :] = fall, fall[::-1]
        result *= line.reshape([-1 if n == axis else 1 for n in range(3)])
    return result


def check_axes(grid: Grid, name: str) -> None:
    """Raise InputError for axes that are not at right angles: a rigid motion cannot be told from their shear."""
    directions = grid.affine[:3, :3] / grid.spacing
    if np.abs(directions.T @ directions - np.eye(3)).max() > 5e-3:
        raise InputError(f"{name}: its axes are not at right angles (gantry tilt); such scans are not put together")


def check_reached(grid: Grid, others: Sequence[Grid], motions: Sequence[NDArray[np.float64]]) -> None:
    """Raise InputError where no scan reaches into the grid."""
    if not any((weight(other, grid, motion) > 0).any() for other, motion in zip(others, motions, strict=True)):
        raise InputError("`like`: lies outside all scans")


def step_of(spacing: tuple[float, ...] | None, stacks: Sequence[SliceStack]) -> float:
    """mm from voxel to voxel of the result. Raises UsageError for several, too fine or too coarse ones."""
    finest = min(s for stack in stacks for axis, s in enumerate(stack.grid.spacing) if axis != stack.through)
    if spacing is None:
        return finest
    if max(spacing) > min(spacing):
        raise UsageError("`spacing`: with `together` one number, the result is as fine in every direction")
    if finest / spacing[0] > FINER:
        raise UsageError(f"`spacing={spacing[0]:g}`: more than {FINER} times finer than the scans ({finest:.4g} mm)")
    coarsest = max(max(stack.grid.spacing) for stack in stacks)
    if spacing[0] >= coarsest:
        raise UsageError(
            f"`spacing={spacing[0]:g}`: as coarse as the scans ({coarsest:.4g} mm): nothing would be finer"
        )
    return spacing[0]
