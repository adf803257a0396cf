"""Where the joint reconstruction starts: each stack refined in its own frame, put on the common grid, and averaged."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from medsr.core.geometry import PLANES, Grid, Plane, Shape
from medsr.core.types import Array
from medsr.volumes.acquisition import Acquisition
from medsr.volumes.models import LoadedSliceModel
from medsr.volumes.refine import Method, OnSlices, refine
from medsr.volumes.stacks.acquired import SliceStack
from medsr.volumes.stacks.on_grid import interpolated, weight


@dataclass(frozen=True, eq=False)
class Start:
    """`mean`: of the refined stacks on the common grid, by how well each covers it. `spread`: their deviation from it.

    `covering`: how many stacks cover a voxel.
    """

    mean: Array
    spread: Array | None
    covering: NDArray[np.uint8]


def fine_shape(stack: SliceStack, step: float) -> Shape:
    """How many voxels of about `step` mm fill its box; never fewer along an axis than it has."""
    i, j, k = (max(n, round(n * s / step)) for n, s in zip(stack.grid.shape, stack.grid.spacing, strict=True))
    return i, j, k


def plane_for(stack: SliceStack, shape: Shape) -> Plane:
    """One plane that holds the thick axis, that of the fewest slices: other stacks resolve what a second would add."""
    return PLANES[min((axis for axis in range(3) if axis != stack.through), key=lambda axis: shape[axis])]


def slices_to_run(stack: SliceStack, step: float) -> int:
    """How many slices a network will see of it."""
    shape = fine_shape(stack, step)
    return shape[PLANES.index(plane_for(stack, shape))]


def refined(
    stack: SliceStack, step: float, model: LoadedSliceModel, method: Method, on_slices: OnSlices
) -> tuple[Array, Grid]:
    """A stack on voxels of about `step` mm over its own box, by the network, or by B-spline where there is none."""
    shape = fine_shape(stack, step)
    acquisition = Acquisition(stack.grid.shape, shape)
    if not acquisition.refined:
        return stack.values, stack.grid
    width = stack.thickness / stack.grid.spacing[stack.through]
    planes = (plane_for(stack, shape),)
    one_plane = replace(method, planes=planes, width=width, through=stack.through, uncertainty=False)
    return refine(stack.values, shape, model.model, one_plane, on_slices).stored, stack.grid.on(shape)


def combine(
    stacks: Sequence[SliceStack],
    motions: Sequence[NDArray[np.float64]],
    common: Grid,
    refined_stacks: Iterable[tuple[Array, Grid]],
    spread: bool,
) -> Start:
    """The mean of all stacks on the common grid. Where none is, the nearest edge of the first.

    `refined_stacks`: of each its voxels and their grid.

    An average is better to start from than what the Fourier domain's weights make of which stack resolves what: where
    one stack alone resolves something it is mostly noise, and conjugate gradients put back what is more than that.
    """
    total, weights = np.zeros(common.shape, np.float32), np.zeros(common.shape, np.float32)
    covering = np.zeros(common.shape, np.uint8)
    first: Array | None = None
    squares = np.zeros(common.shape, np.float32) if spread else None
    for stack, motion, (refined_values, grid) in zip(stacks, motions, refined_stacks, strict=True):
        values = interpolated(refined_values, grid, common, motion)
        first = values if first is None else first
        stack_weight = weight(stack.grid, common, motion)
        covering += stack_weight > 0
        weights += stack_weight
        total += stack_weight * values
        if squares is not None:
            squares += stack_weight * values**2
    assert first is not None
    covered = weights > 0
    np.divide(total, weights, out=total, where=covered)
    total[~covered] = first[~covered]
    deviation = None
    if squares is not None:
        np.divide(squares, weights, out=squares, where=covered)
        deviation = np.sqrt(np.maximum(squares - total**2, 0))
        deviation[covering < 2] = 0
    return Start(total, deviation, covering)
