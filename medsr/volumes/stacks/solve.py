"""The volume that agrees with all stacks at once: regularised least squares by conjugate gradients."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from medsr.core.types import Array
from medsr.volumes.stacks.acquired import StackModel

ROUNDS = 3
"""Of conjugate gradients in a pass. With each pass edges and errors are taken from the last estimate."""
START_ERROR, STEP_ERROR = 0.1, 0.037
"""Unit values: what the start is wrong by, and how far neighbours differ. Chosen on two heads of the training scans."""
LEAST_ERROR, EDGE = 0.003, 0.03
"""No stack is believed closer than to the first. Steps beyond the second are edges, and smoothed the less."""
ERROR_SHARES = (0.5, 1.0)
"""Of what a pass finds unexplained, the share that is taken for error where it is more than the noise: at the start
much of it is detail that is still missing; what remains after a pass is what no volume explains."""


@dataclass(frozen=True, eq=False)
class StackTerm:
    """One stack's part: how it sees the volume, and how much each of its voxels weighs, 0 to 1.

    `error`: in unit values, its noise and what the model of how it was acquired is wrong by.
    """

    model: StackModel
    weights: Array
    error: float

    def acquire(self, volume: Array) -> Array:
        """What it sees; weighted."""
        return self.model.acquire(volume) * self.weights

    def residual(self, volume: Array) -> Array:
        """What acquiring the volume leaves of it unexplained, weighted."""
        return (self.model.stack.values - self.model.acquire(volume)) * self.weights

    def rms(self, residual: Array) -> float:
        """Of such a residual, over what counts."""
        return float(np.sqrt(np.vdot(residual, residual) / max(1e-12, float(np.vdot(self.weights, self.weights)))))


@dataclass(frozen=True, eq=False)
class Problem:
    """sum_i |y_i - H_i x|^2 / error_i^2 + |x - start|^2 / START_ERROR^2 + sum w |grad x|^2 / STEP_ERROR^2.

    `w` is 1 where the estimate is smooth and small at its edges (Huber's function by reweighting; as total variation
    it keeps edges). `window` fades the volume out at its border: nothing rings where a stack sees on beyond it.
    """

    terms: Sequence[StackTerm]
    window: Array

    @property
    def error(self) -> float:
        """Of all stacks: what weighs them is relative to it."""
        return float(np.sqrt(1 / np.mean([1 / term.error**2 for term in self.terms])))

    @property
    def factor(self) -> float:
        """How many common voxels a slice is thick, in the mean: so much less does one voxel count for the data."""
        return float(np.mean([term.model.factor for term in self.terms]))

    def residuals(self, volume: Array) -> list[Array]:
        """Of every stack."""
        shown = volume * self.window
        return [term.residual(shown) for term in self.terms]

    def gradient(self, residuals: Sequence[Array]) -> Array:
        """The adjoint of all stacks, weighted."""
        total = np.zeros(self.window.shape, np.float32)
        for term, residual in zip(self.terms, residuals, strict=True):
            total += np.float32((self.error / term.error) ** 2) * term.model.spread(residual)
        total *= self.window
        return total

    def with_errors(self, residuals: Sequence[Array], share: float) -> Problem:
        """The same with each stack's error at least that share of its residual."""
        errors = [
            max(term.error, LEAST_ERROR, share * term.rms(r)) for term, r in zip(self.terms, residuals, strict=True)
        ]
        return replace(self, terms=[replace(term, error=error) for term, error in zip(self.terms, errors, strict=True)])

    def solve(self, start: Array, on_round: Callable[[], None] = lambda: None) -> Array:
        """(common shape) float32, from the start on."""
        volume = start.copy()
        for share in ERROR_SHARES:
            residuals = self.residuals(volume)
            self.with_errors(residuals, share).improve(volume, start, residuals, on_round)
        return volume

    def improve(self, volume: Array, start: Array, residuals: Sequence[Array], on_round: Callable[[], None]) -> None:
        """Rounds of conjugate gradients, in place. `residuals`: of the volume."""
        smoothing = _Smoothing(volume, max(EDGE / 3, min(EDGE, 1.5 * self.error)))
        prior = np.float32((self.error / START_ERROR) ** 2 / self.factor)
        smooth = np.float32((self.error / STEP_ERROR) ** 2 / self.factor)
        residual = self.gradient(residuals)
        residual -= prior * (volume - start) + smooth * smoothing.apply(volume)
        direction, squared = residual.copy(), _dot(residual, residual)
        for _ in range(ROUNDS):
            if squared == 0:
                return
            shown = direction * self.window
            image = self.gradient([term.acquire(shown) for term in self.terms])
            image += prior * direction + smooth * smoothing.apply(direction)
            length = np.float32(squared / _dot(direction, image))
            volume += length * direction
            residual -= length * image
            before, squared = squared, _dot(residual, residual)
            direction *= np.float32(squared / before)
            direction += residual
            on_round()


class _Smoothing:
    """grad' w grad, with weights from the edges of a volume."""

    def __init__(self, volume: Array, edge: float) -> None:
        slopes = sum(np.gradient(volume, axis=axis) ** 2 for axis in range(3))
        flat = (1 / np.sqrt(1 + slopes / edge**2)).astype(np.float32)
        self.weights = [(flat[_cut(axis, 0, -1)] + flat[_cut(axis, 1, None)]) / 2 for axis in range(3)]

    def apply(self, volume: Array) -> Array:
        result = np.zeros_like(volume)
        for axis, weights in enumerate(self.weights):
            steps = np.diff(volume, axis=axis) * weights
            result[_cut(axis, 0, -1)] -= steps
            result[_cut(axis, 1, None)] += steps
        return result


def _cut(axis: int, first: int, last: int | None) -> tuple[slice, ...]:
    return tuple(slice(first, last) if n == axis else slice(None) for n in range(3))


def _dot(left: Array, right: Array) -> float:
    return sum(float(np.einsum("ij,ij->", a, b, dtype=np.float64)) for a, b in zip(left, right, strict=True))
