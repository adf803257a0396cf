"""Rigid motion between two grids of the same spacing: four shears, each exact in the Fourier domain.

A rotation is the product of four shears along one axis each (Chen and Kaufman 2000; Cox and Jesmanowicz 1999 move
functional MRI so). A shear shifts every line by an amount of its own, and in the Fourier domain a shift is exact: it
blurs nothing. So what a scan is asked for is what the volume holds, and the adjoint is the motion back.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import permutations

import numpy as np
import scipy.fft
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from medsr.core.geometry import Shape
from medsr.core.types import Array

NO_ROTATION = 1e-7
"""A matrix this near to the identity rotates by less than a thousandth of a voxel."""
NUDGE = 1e-5
"""Radians: a rotation about one axis alone has no four shears, one that is so little off has."""
MARGIN = 4
"""Voxels around both grids that lines may pass through on their way."""


@dataclass(frozen=True)
class Shear:
    """Along `axis`, every line is read from `amounts` x (index along each axis, from the centre) + `shift` further."""

    axis: int
    amounts: tuple[float, float, float]
    shift: float

    def lags(self, shape: Shape) -> tuple[NDArray, NDArray, float]:
        """How far each line is shifted, along the other two axes (in their order) and in all, in voxels."""
        first, second = (n for n in range(3) if n != self.axis)
        centred = [np.arange(n) - (n - 1) / 2 for n in shape]
        return self.amounts[first] * centred[first], self.amounts[second] * centred[second], self.shift

    def reach(self, shape: Shape) -> float:
        """The largest shift of a line, in voxels."""
        first_lag, second_lag, shift = self.lags(shape)
        return float(np.abs(first_lag).max() + np.abs(second_lag).max() + abs(shift))

    def apply(self, volume: Array, sign: int = 1) -> Array:
        """Shift every line, or with `sign` -1 back; what leaves the box is lost."""
        shape: Shape = volume.shape  # type: ignore[assignment]
        length = shape[self.axis]
        if self.reach(shape) < 1e-4:
            return volume
        padded = scipy.fft.next_fast_len(length + int(np.ceil(self.reach(shape))) + 1, real=True)
        spectrum = scipy.fft.rfft(volume, padded, axis=self.axis, workers=-1)
        frequency = sign * 2j * np.pi * np.fft.rfftfreq(padded)
        if padded % 2 == 0:
            frequency[-1] = 0  # the one that has no partner: shifted, it would be no real number
        first_lag, second_lag, shift = self.lags(shape)
        first, second = (n for n in range(3) if n != self.axis)
        for axis, lag in ((first, first_lag + shift), (second, second_lag)):
            phase = np.exp(np.multiply.outer(frequency, lag)).astype(np.complex64)
            spectrum *= np.expand_dims(phase if self.axis < axis else phase.T, 3 - self.axis - axis)
        result = scipy.fft.irfft(spectrum, padded, axis=self.axis, overwrite_x=True, workers=-1)
        return result[tuple(slice(None, length) if n == self.axis else slice(None) for n in range(3))]


@dataclass(frozen=True, eq=False)
class RigidResampler:
    """Reads a volume of shape `source` at the voxels of a grid of shape `target`, and takes what was read back.

    `matrix`: (4, 4), index on the target to index on the source; rigid, for both have the same spacing. Outside the
    source is 0.
    """

    source: Shape
    target: Shape
    matrix: NDArray[np.float64]

    def forward(self, volume: Array) -> Array:
        """(source) to (target)."""
        order, flips = self._axes
        turned = np.flip(volume.transpose(order), flips)
        box = self._embed(turned)
        for shear in self._shears:
            box = shear.apply(box)
        return np.ascontiguousarray(self._cut(box, self.target))

    def adjoint(self, values: Array) -> Array:
        """(target) to (source): the transpose of `forward`, which is the motion back."""
        box = self._embed(values)
        for shear in reversed(self._shears):
            box = shear.apply(box, -1)
        order, flips = self._axes
        turned = np.flip(self._cut(box, self._turned_shape), flips)
        return np.ascontiguousarray(turned.transpose(np.argsort(order)))

    @cached_property
    def _axes(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Which axis of the source runs along each of the target, and which of them run backwards then."""
        linear = self.matrix[:3, :3]
        _, order = linear_sum_assignment(-np.abs(linear.T))
        flips = tuple(axis for axis in range(3) if linear[order[axis], axis] < 0)
        return tuple(int(axis) for axis in order), flips

    @property
    def _turned_shape(self) -> Shape:
        i, j, k = (self.source[axis] for axis in self._axes[0])
        return i, j, k

    @property
    def _box(self) -> Shape:
        i, j, k = (max(a, b) + 2 * MARGIN for a, b in zip(self._turned_shape, self.target, strict=True))
        return i, j, k

    def _embed(self, values: Array) -> Array:
        box = np.zeros(self._box, np.float32)
        self._cut(box, values.shape)[...] = values
        return box

    def _cut(self, box: Array, shape: tuple[int, ...]) -> Array:
        starts = [(outer - inner) // 2 for outer, inner in zip(self._box, shape, strict=True)]
        return box[tuple(slice(start, start + inner) for start, inner in zip(starts, shape, strict=True))]

    @cached_property
    def _shears(self) -> list[Shear]:
        """From the turned source to the target, both in the box, their indices from its centre."""
        order, flips = self._axes
        turned = self.matrix[list(order)]  # a copy; rows: index along the turned source's axes
        for axis in flips:
            turned[axis] *= -1
            turned[axis, 3] += self._turned_shape[axis] - 1

        def centre(shape: tuple[int, ...]) -> NDArray[np.float64]:
            starts = [(outer - inner) // 2 for outer, inner in zip(self._box, shape, strict=True)]
            return np.array([(n - 1) / 2 - start for n, start in zip(self._box, starts, strict=True)])

        shift = turned[:3, :3] @ centre(self.target) + turned[:3, 3] - centre(self._turned_shape)
        left, _, right = np.linalg.svd(turned[:3, :3])  # headers round: the nearest matrix that only rotates
        return decompose(left @ right, shift)


def decompose(rotation: NDArray[np.float64], shift: NDArray[np.float64]) -> list[Shear]:
    """Shears that read, one after the other, at `rotation` @ index + `shift`, indices from the centre.

    Of the six orders of axes the one whose shears are smallest.
    """
    if np.abs(rotation - np.eye(3)).max() < NO_ROTATION:
        return [Shear(axis, (0.0, 0.0, 0.0), float(shift[axis])) for axis in range(3)]
    candidates = [factors for order in permutations(range(3)) if (factors := _factors(rotation, order)) is not None]
    if not candidates:
        return decompose(_nudged(rotation), shift)
    order, matrices = min(candidates, key=lambda factors: max(np.abs(m - np.eye(3)).max() for m in factors[1]))
    if max(np.abs(matrix - np.eye(3)).max() for matrix in matrices) > 3 * np.abs(rotation - np.eye(3)).max() + 0.1:
        return decompose(_nudged(rotation), shift)
    axes = (*order, order[0])
    reached, columns = np.eye(3), []
    for axis, matrix in zip(order, matrices, strict=False):
        columns.append(reached[:, axis])
        reached = reached @ matrix
    shifts = [*np.linalg.solve(np.stack(columns, axis=1), shift), 0.0]
    return [
        Shear(axis, tuple(matrix[axis] - np.eye(3)[axis]), float(along))
        for axis, matrix, along in zip(axes, matrices, shifts, strict=True)
    ]


def _nudged(rotation: NDArray[np.float64]) -> NDArray[np.float64]:
    a, b, c = NUDGE, -NUDGE, NUDGE
    nudge = np.eye(3) + np.array([[0, -c, b], [c, 0, -a], [-b, a, 0]])
    left, _, right = np.linalg.svd(rotation @ nudge)
    result: NDArray[np.float64] = left @ right
    return result


def _factors(
    rotation: NDArray[np.float64], order: tuple[int, ...]
) -> tuple[tuple[int, ...], list[NDArray[np.float64]]] | None:
    """Four shears along the axes i, j, k and i again whose product is the rotation; None where there are none."""
    i, j, k = order
    permuted = rotation[np.ix_(order, order)]
    # With rows (1, d1, d2), (0, 1, 0), (0, 0, 1) on the right, each factor is read off one row after the other.
    c1 = permuted[2, 0]
    if abs(c1) < 1e-9:
        return None
    d2 = (permuted[2, 2] - 1) / c1
    # row j: b1 (1, d1, d2) + (0, 1, 0) + b2 row k; row k: (c1, c1 d1 + c2, c1 d2 + 1)
    # row i: (1, d1, d2) + a1 row j + a2 row k
    # From column 0 and 2 of row j: b1 + b2 c1 = q10, b1 d2 + b2 (c1 d2 + 1) = q12.
    b1, b2 = np.linalg.solve([[1, c1], [d2, c1 * d2 + 1]], [permuted[1, 0], permuted[1, 2]])
    if abs(b1) < 1e-12:
        return None
    # column 1 of row j: b1 d1 + 1 + b2 q21 = q11
    d1 = (permuted[1, 1] - 1 - b2 * permuted[2, 1]) / b1
    c2 = permuted[2, 1] - c1 * d1
    # columns 0 and 2 of row i: 1 + a1 q10 + a2 q20 = q00; d2 + a1 q12 + a2 q22 = q02
    system = np.array([[permuted[1, 0], permuted[2, 0]], [permuted[1, 2], permuted[2, 2]]])
    if abs(np.linalg.det(system)) < 1e-12:
        return None
    a1, a2 = np.linalg.solve(system, [permuted[0, 0] - 1, permuted[0, 2] - d2])
    factors = []
    for axis, amounts in ((i, {j: a1, k: a2}), (j, {i: b1, k: b2}), (k, {i: c1, j: c2}), (i, {j: d1, k: d2})):
        matrix = np.eye(3)
        for other, amount in amounts.items():
            matrix[axis, other] = amount
        factors.append(matrix)
    if not np.allclose(factors[0] @ factors[1] @ factors[2] @ factors[3], rotation, atol=1e-9):
        return None
    return order, factors
