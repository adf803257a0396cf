"""Making a result agree with what was acquired, and what is left unexplained."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from medsr.core.intensity import Window
from medsr.core.types import Array
from medsr.volumes.acquisition import Acquisition, ConstantRegion, slabs, upsampled

ROUNDS, CLOSE = 4, 1e-6
"""Back-projection ends after so many rounds, or when nothing differs by more (in unit values)."""


def back_project(fine: Array, coarse: Array, acquisition: Acquisition, constant: ConstantRegion) -> ResidualStats:
    """Correct `fine` in place until acquiring it again returns `coarse`, or what of it can be told from its noise.

    Returns what was left over before.
    Iterative back-projection (Irani and Peleg 1991). Its kernel is the consistent spline, with which one round would
    do, but for the voxels that are left alone because nothing around them varies: what is missing beside those is
    then put in by the kernel that reaches least far.
    """
    splines = acquisition.consistent()
    difference = residual(fine, coarse, acquisition)
    before = ResidualStats.of(difference)
    target = acquisition.explained(coarse)
    if target is not coarse:
        np.copyto(target, coarse, where=constant.mask)
        difference += target
        difference -= coarse
    for count in range(ROUNDS):
        if np.abs(difference).max() < CLOSE:
            break
        operators = splines if count < 2 else acquisition.smallest()
        for part in slabs(fine.shape):
            fine[part] += upsampled(difference, operators, part)
            constant.restore(fine[part], coarse, part)
        difference = residual(fine, target, acquisition)
    return before


def residual(fine: NDArray, coarse: NDArray, acquisition: Acquisition, window: Window | None = None) -> Array:
    """What acquiring `fine` again leaves of the scan `coarse` unexplained, (coarse shape), in unit values.

    With a window both are stored values: a large offset would leave float32 no digits for what varies.
    """
    simulated = acquisition.simulate_acquisition(fine, window)
    for part in slabs(coarse.shape):
        simulated[part] = (coarse[part] if window is None else window.to_unit(coarse[part])) - simulated[part]
    return simulated


@dataclass(frozen=True)
class ResidualStats:
    """What is left over, in figures."""

    rms: float
    largest: float

    @classmethod
    def of(cls, difference: Array, intensity_range: float = 1.0) -> ResidualStats:
        """The root mean square and the largest size of `difference` x `intensity_range`."""
        squares = sum(float(np.einsum("ij,ij->", part, part, dtype=np.float64)) for part in difference)
        largest = max(float(np.abs(part).max()) for part in difference)
        return cls((squares / difference.size) ** 0.5 * abs(intensity_range), largest * abs(intensity_range))

    def times(self, intensity_range: float) -> ResidualStats:
        """In other units."""
        return ResidualStats(self.rms * abs(intensity_range), self.largest * abs(intensity_range))
