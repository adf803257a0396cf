"""How each stack sees the common volume: rigid motion, then its slice profile and its own grid."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from medsr.core.geometry import Grid
from medsr.core.types import Array
from medsr.degradation.slice_profile import Profile, at
from medsr.volumes.stacks.shears import RigidResampler

AVERAGED = 1.5
"""Pixels so many times as wide as the common voxels are their means; narrower ones are samples, as k-space gives."""
NOTHING = 1e-4
"""Weights below this are left out: a spline reaches everywhere, and hardly."""


@dataclass(frozen=True, eq=False)
class SliceStack:
    """One scan, its axes towards right, anterior and superior, in unit values of the first one.

    `values`: (i, j, k) float32. `grid`: where it lies by its header. `through`: the axis across its slices,
    `thickness`: of a slice, in mm. `noise`: its standard deviation, in unit values.
    """

    name: str
    values: Array
    grid: Grid
    through: int
    thickness: float
    profile: Profile = "box"
    noise: float = 0.0


@dataclass(frozen=True, eq=False)
class StackModel:
    """What a stack sees of a volume on `common`, a grid of one spacing in all directions.

    `motion`: (4, 4) mm, from a point of the common space to where the stack shows it.
    """

    stack: SliceStack
    common: Grid
    motion: NDArray[np.float64]

    def acquire(self, volume: Array) -> Array:
        """(common shape) to (stack's shape)."""
        return self.observe(self.resampler.forward(volume))

    def spread(self, values: Array) -> Array:
        """(stack's shape) to (common shape): the transpose of `acquire`."""
        for axis, operator in reversed(self._operators):
            values = _along(operator.T, values, axis)
        return self.resampler.adjoint(values)

    def observe(self, fine: Array) -> Array:
        """From the stack's own fine grid to the stack."""
        for axis, operator in self._operators:
            fine = _along(operator, fine, axis)
        return fine

    @property
    def step(self) -> float:
        """Of the common grid, in mm."""
        return self.common.spacing[0]

    @property
    def factor(self) -> float:
        """How many common voxels a slice is thick."""
        return self.stack.thickness / self.step

    @cached_property
    def fine(self) -> Grid:
        """The stack's own grid with voxels as large as the common ones, over its box, in its own space."""
        grid = self.stack.grid
        lengths = np.array(grid.shape) * grid.spacing
        i, j, k = (max(1, int(np.ceil(length / self.step - 1e-3))) for length in lengths)
        directions = grid.affine[:3, :3] / grid.spacing
        middle = grid.affine @ [*((n - 1) / 2 for n in grid.shape), 1]
        affine = np.eye(4)
        affine[:3, :3] = directions * self.step
        affine[:3, 3] = middle[:3] - affine[:3, :3] @ [(n - 1) / 2 for n in (i, j, k)]
        return Grid((i, j, k), affine)

    @cached_property
    def resampler(self) -> RigidResampler:
        """Between the common grid and `fine`."""
        matrix = np.linalg.inv(self.common.affine) @ np.linalg.inv(self.motion) @ self.fine.affine
        return RigidResampler(self.common.shape, self.fine.shape, matrix)

    @cached_property
    def _operators(self) -> list[tuple[int, csr_array]]:
        """For each axis that changes: from the fine grid to the stack's. Those first that leave the fewest voxels."""
        stack, fine = self.stack, self.fine.shape
        operators = []
        for axis, (count, spacing) in enumerate(zip(stack.grid.shape, stack.grid.spacing, strict=True)):
            ratio = spacing / self.step
            centres = fine[axis] / 2 + (np.arange(count) - (count - 1) / 2) * ratio
            if axis == stack.through:
                operator = at(centres, stack.thickness / self.step, fine[axis], stack.profile)
            elif ratio >= AVERAGED:
                operator = at(centres, ratio, fine[axis])
            else:
                operator = _sampled(centres, fine[axis])
            if operator.shape[0] != operator.shape[1] or not np.array_equal(operator, np.eye(count)):
                operators.append((axis, csr_array(operator.astype(np.float32))))
        return sorted(operators, key=lambda entry: entry[1].shape[0] / entry[1].shape[1])

    def sees(self, inner: tuple[slice, slice, slice]) -> NDArray[np.bool_]:
        """Which of its voxels lie whole in that part of the common grid, from front to back of the slice."""
        stack = self.stack
        half = stack.thickness / stack.grid.spacing[stack.through] / 2
        matrix = np.linalg.inv(self.common.affine) @ np.linalg.inv(self.motion) @ stack.grid.affine
        seen: NDArray[np.bool_] = np.ones(stack.grid.shape, bool)
        for end in (-half, half):
            indices = [np.arange(n, dtype=np.float64) for n in stack.grid.shape]
            indices[stack.through] = indices[stack.through] + end
            for axis, part in enumerate(inner):
                i, j, k = (row * line for row, line in zip(matrix[axis, :3], indices, strict=True))
                index = i[:, None, None] + j[:, None] + k + matrix[axis, 3]
                seen &= (index >= part.start - 0.5) & (index <= part.stop - 0.5)
        return seen


def _sampled(centres: NDArray, fine: int) -> NDArray[np.float64]:
    """(len(centres), fine): the cubic B-spline through the fine voxels, read at these places."""
    from scipy.interpolate import make_interp_spline

    places = np.arange(fine) + 0.5
    if len(centres) == fine and np.allclose(centres, places, atol=1e-6):
        return np.eye(fine)
    spline = make_interp_spline(places, np.eye(fine), k=min(3, fine - 1))
    weights: NDArray[np.float64] = spline(centres.clip(places[0], places[-1]))
    weights[np.abs(weights) < NOTHING] = 0
    return weights / weights.sum(axis=1, keepdims=True)


def _along(operator: csr_array, values: Array, axis: int) -> Array:
    lines = np.ascontiguousarray(np.moveaxis(values, axis, 0))
    result = operator @ lines.reshape(len(lines), -1)
    return np.moveaxis(result.reshape(len(result), *lines.shape[1:]), 0, axis)
