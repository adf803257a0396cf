"""How a scan sees the finer volume: the axes' operators, and where nothing varies."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from medsr.core.geometry import Shape
from medsr.core.intensity import Window
from medsr.core.resample import bspline_matrix
from medsr.core.types import Array
from medsr.degradation.slice_profile import Profile, consistent_spline, matrix

Box = tuple[slice, slice]
SLAB_BYTES = 2_000_000
"""Volumes are worked through in slabs of about this size along their first axis, so that no second one is needed."""
GRID = 32
"""Pixels: on what grid the part of a slice begins and ends that a network sees."""


@dataclass(frozen=True)
class Acquisition:
    """A scan of `coarse` voxels of a volume of `fine` ones over the same box, thick along every axis it is coarse in.

    Across the slices, along the axis `through`, the profile is `profile`, `width` coarse voxels wide; within them a
    voxel is the mean of what it covers. `through` None: the axis that is refined the most, of several the last.
    `easing`: how far short of exactly the result agrees with the scan (`slice_profile.consistent_spline`).
    """

    coarse: Shape
    fine: Shape
    profile: Profile = "box"
    width: float = 1.0
    through: int | None = None
    easing: float = 0.0

    @property
    def refined(self) -> tuple[int, ...]:
        """The axes that are finer in the result."""
        return tuple(axis for axis in range(3) if self.fine[axis] > self.coarse[axis])

    def factor(self, axis: int) -> float:
        """How many times finer that axis becomes."""
        return self.fine[axis] / self.coarse[axis]

    def separate(self) -> bool:
        """Whether no fine voxel is seen by two coarse ones."""
        whole = all(f % c == 0 for c, f in zip(self.coarse, self.fine, strict=True))
        plain = (self.profile == "box" and self.width == 1) or self.across not in self.refined
        return whole and plain

    @property
    def across(self) -> int:
        """The axis that runs across the slices."""
        if self.through is not None:
            return self.through
        return max(range(3), key=lambda axis: (self.factor(axis), axis))

    def consistent(self) -> list[Array]:
        """For each axis: coarse to fine by the spline that agrees with what was acquired."""
        return [self.operator(axis, True) for axis in range(3)]

    def plain(self) -> list[Array]:
        """For each axis: coarse to fine by the interpolating cubic B-spline."""
        return [bspline_matrix(c, f).astype(np.float32) for c, f in zip(self.coarse, self.fine, strict=True)]

    def smallest(self) -> list[Array]:
        """For each axis: coarse to fine with the smallest values that agree with what was acquired."""
        matrices = [self.operator(axis, False).astype(np.float64) for axis in range(3)]
        if not self.easing:
            return [np.linalg.pinv(operator).astype(np.float32) for operator in matrices]
        eased = [
            operator @ operator.T + self.easing / self.factor(n) * np.eye(len(operator))
            for n, operator in enumerate(matrices)
        ]
        return [
            np.linalg.solve(gram, operator).T.astype(np.float32) for gram, operator in zip(eased, matrices, strict=True)
        ]

    def explained(self, acquired: Array) -> Array:
        """What of a scan the result is to agree with: all of it, or what the consistent spline makes and sees of it."""
        if not self.easing:
            return acquired
        for axis in self.refined:
            round_trip = (self.operator(axis, False) @ self.operator(axis, True)).astype(np.float32)
            acquired = np.moveaxis(np.tensordot(round_trip, acquired, (1, axis)), 0, axis)
        return np.ascontiguousarray(acquired)

    def simulate_acquisition(self, fine: NDArray, window: Window | None = None) -> Array:
        """(fine) to (coarse): what the scan would have seen of that volume; with a window, in its unit values."""
        operators = [self.operator(axis, False) for axis in range(3)]
        first = operators[0]
        simulated = np.zeros(self.coarse, np.float32)
        for part in slabs(fine.shape):
            slab = _within(fine[part] if window is None else window.to_unit(fine[part]), operators)
            if self.coarse[0] == self.fine[0]:
                simulated[part] = slab
                continue
            rows = np.flatnonzero(first[:, part].any(axis=1))
            reached = slice(int(rows[0]), int(rows[-1]) + 1)
            weighted = first[reached, part] @ slab.reshape(slab.shape[0], -1)
            simulated[reached] += weighted.reshape(-1, *self.coarse[1:])
        return simulated

    def operator(self, axis: int, up: bool) -> Array:
        """Of one axis: what the scan sees of fine voxels, or `up`, the consistent spline."""
        coarse, fine = self.coarse[axis], self.fine[axis]
        if coarse == fine:
            return np.eye(fine, dtype=np.float32)
        shape: tuple[Profile, float] = (self.profile, self.width) if axis == self.across else ("box", 1.0)
        if up:
            return consistent_spline(fine, coarse, *shape, self.easing).astype(np.float32)
        return matrix(fine, coarse, *shape).astype(np.float32)


def slabs(shape: tuple[int, ...]) -> Iterator[slice]:
    """Cut the first axis so that a float32 slab of `shape` stays near SLAB_BYTES."""
    thickness = max(1, int(SLAB_BYTES / (4 * float(np.prod(shape[1:])))))
    return (slice(start, min(start + thickness, shape[0])) for start in range(0, shape[0], thickness))


def upsampled(coarse: Array, operators: list[Array], part: slice) -> Array:
    """One slab of a coarse volume brought to the fine grid by an operator for each axis."""
    first = operators[0][part]
    if operators[0].shape[0] == operators[0].shape[1]:  # an axis that stays: its operator is the identity
        slab = coarse[part]
    else:
        slab = (first @ coarse.reshape(coarse.shape[0], -1)).reshape(first.shape[0], *coarse.shape[1:])
    return _within(slab, operators)


def _within(slab: NDArray, operators: list[Array]) -> Array:
    """Apply the operators of the second and third axis."""
    result = np.ascontiguousarray(slab, np.float32)
    if operators[1].shape[0] != operators[1].shape[1]:
        result = np.matmul(operators[1], result)
    if operators[2].shape[0] != operators[2].shape[1]:
        result = np.matmul(result, operators[2].T)
    return result


class ConstantRegion:
    """Where the acquired voxels around are all equal, there is nothing to refine: the result is that value, exactly.

    So a background of zeros stays one, whatever a network makes of it.
    """

    def __init__(self, acquired: NDArray, acquisition: Acquisition) -> None:
        from scipy.ndimage import maximum_filter, minimum_filter

        around = 3 if acquisition.separate() else 5
        self.mask: NDArray[np.bool_] = maximum_filter(acquired, around, mode="nearest") == acquired
        self.mask &= minimum_filter(acquired, around, mode="nearest") == acquired
        self.index = [nearest_index(c, f) for c, f in zip(acquisition.coarse, acquisition.fine, strict=True)]

    def restore(self, slab: NDArray, acquired: NDArray, part: slice) -> None:
        """Put the acquired values back into one slab of a result, in place."""
        index = np.ix_(self.index[0][part], self.index[1], self.index[2])
        np.copyto(slab, acquired[index].astype(slab.dtype, copy=False), where=self.mask[index])

    def box(
        self, axis: int, part: slice, plane: tuple[int, int], receptive_radius: int | None, multiple: int = 2
    ) -> Box | None:
        """What a network must see of the fine slices `part` across `axis` for all that is not restored to be right.

        `plane`: the axes of rows and columns. `receptive_radius`: from how many pixels away the network feels its
        input (None: from everywhere). The corner is a `multiple`. None where everything is restored.
        Boxes grow to a grid of `GRID` pixels: engines prepare themselves anew for every shape they see.
        """
        coarse = np.unique(self.index[axis][part])
        still = np.take(self.mask, coarse, axis)
        busy: NDArray[np.bool_] = np.logical_not(np.logical_and.reduce(still, axis=axis))
        rows, columns = plane
        if rows > columns:
            busy = busy.T
        places = []
        for along, index in enumerate((self.index[rows], self.index[columns])):
            lines: NDArray[np.bool_] = np.logical_or.reduce(busy, axis=1 - along)
            where = np.flatnonzero(lines[index])
            if not len(where):
                return None
            first, last = (
                (0, len(index))
                if receptive_radius is None
                else (int(where[0]) - receptive_radius, int(where[-1]) + 1 + receptive_radius)
            )
            grid = math.lcm(multiple, GRID)
            places.append(slice(max(0, first // grid * grid), min(len(index), -(-last // grid) * grid)))
        return places[0], places[1]

    def silence(self, slab: NDArray, part: slice) -> None:
        """Put 0 into one slab of a map of what is uncertain, in place: nothing is, there."""
        slab[self.mask[np.ix_(self.index[0][part], self.index[1], self.index[2])]] = 0


def nearest_index(coarse: int, fine: int) -> NDArray[np.intp]:
    """For each fine voxel along an axis, the coarse voxel its centre lies in."""
    return np.minimum(((np.arange(fine) + 0.5) * coarse / fine).astype(np.intp), coarse - 1)
