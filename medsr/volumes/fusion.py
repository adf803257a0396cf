"""Several planes' results into one volume, slab by slab, without keeping them all."""

from __future__ import annotations

from typing import Any, Literal, Protocol

import numpy as np

from medsr.core.geometry import Shape
from medsr.core.types import Array
from medsr.volumes.acquisition import Acquisition, slabs, upsampled
from medsr.volumes.back_projection import residual
from medsr.volumes.learned_fusion import Learned, open_fuser

Fuse = Literal["mean", "median", "weighted", "learned"]
Index = tuple[slice, ...]


class Fusion(Protocol):
    """Takes each plane's slices as they come; `spread` adds up what planes and flips disagree on, or is None."""

    spread: UncertaintyAccumulator | None

    def add(self, index: Index, values: Array) -> None:
        """A block of the current plane's volume."""
        ...

    def end_plane(self) -> None: ...
    def result(self) -> Array:
        """The fused volume. The fusion is empty afterwards."""
        ...


class UncertaintyAccumulator:
    """Standard deviation over all planes and flips, voxel by voxel (Welford's running sums)."""

    def __init__(self, shape: Shape) -> None:
        self.mean, self.squares = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
        self.samples = 0

    def add(self, index: Index, samples: list[Array]) -> None:
        """One plane's results at that place, one for each flip. All places must be served before the next plane."""
        for count, sample in enumerate(samples, self.samples + 1):
            change = sample - self.mean[index]
            self.mean[index] += change / count
            self.squares[index] += change * (sample - self.mean[index])

    def end_plane(self, flips: int) -> None:
        self.samples += flips

    def deviation(self) -> Array:
        """(shape), in the units of the samples; overwrites the sums."""
        del self.mean
        self.squares /= max(self.samples, 1)
        return np.sqrt(self.squares, out=self.squares)


class Mean:
    """The average: one volume in memory, whatever the number of planes (P2)."""

    def __init__(self, shape: Shape) -> None:
        self.total = np.zeros(shape, np.float32)
        self.planes = 0

    def add(self, index: Index, values: Array) -> None:
        self.total[index] += values

    def end_plane(self) -> None:
        self.planes += 1

    def result(self) -> Array:
        self.total /= self.planes
        return self.total


class Median:
    """The median of up to three planes in two volumes: the third is clipped between the others."""

    def __init__(self, shape: Shape) -> None:
        self.low = np.zeros(shape, np.float32)
        self.high: Array | None = None
        self.planes = 0

    def add(self, index: Index, values: Array) -> None:
        if self.planes == 0:
            self.low[index] = values
        elif self.planes == 1:
            if self.high is None:
                self.high = np.zeros_like(self.low)
            self.high[index] = np.maximum(self.low[index], values)
            self.low[index] = np.minimum(self.low[index], values)
        else:
            assert self.high is not None
            self.low[index] = np.clip(values, self.low[index], self.high[index])

    def end_plane(self) -> None:
        self.planes += 1

    def result(self) -> Array:
        if self.planes == 2 and self.high is not None:
            self.low += self.high
            self.low /= 2
        self.high = None
        return self.low


class Weighted:
    """An average in which a plane counts the more, the better it agrees with the acquired voxels around.

    Weight: 1 / (mean squared difference of the plane, acquired again, in the 3 x 3 x 3 acquired voxels around).
    """

    def __init__(self, acquired: Array, acquisition: Acquisition) -> None:
        self.acquired, self.acquisition = acquired, acquisition
        self.total = np.zeros(acquisition.fine, np.float32)
        self.weights = np.zeros(acquisition.coarse, np.float32)
        self.plane = np.empty(acquisition.fine, np.float32)
        self.floor = 1e-6 * float(np.var(acquired)) + 1e-12
        self.operators = [_linear(c, f) for c, f in zip(acquisition.coarse, acquisition.fine, strict=True)]

    def add(self, index: Index, values: Array) -> None:
        self.plane[index] = values

    def end_plane(self) -> None:
        from scipy.ndimage import uniform_filter

        weight = residual(self.plane, self.acquired, self.acquisition)
        weight *= weight
        uniform_filter(weight, 3, output=weight, mode="nearest")
        np.maximum(weight, 0, out=weight)
        weight += self.floor
        np.reciprocal(weight, out=weight)
        self.weights += weight
        for part in slabs(self.total.shape):
            self.total[part] += self.plane[part] * upsampled(weight, self.operators, part)

    def result(self) -> Array:
        for part in slabs(self.total.shape):
            self.total[part] /= upsampled(self.weights, self.operators, part)
        del self.plane
        return self.total


def make(fuse: str, acquired: Array, acquisition: Acquisition, engine: str = "auto") -> Any:
    """The fusion of that name; another name is that of a fusion network, which `engine` computes.

    Raises UsageError or WeightsError.
    """
    if fuse == "weighted":
        return Weighted(acquired, acquisition)
    if fuse in ("mean", "median"):
        return (Mean if fuse == "mean" else Median)(acquisition.fine)
    return Learned(open_fuser(fuse, engine), acquired, acquisition)


def _linear(coarse: int, fine: int) -> Array:
    """(fine, coarse): linear interpolation along an axis, constant beyond the outer centres."""
    centres = (np.arange(fine) + 0.5) * coarse / fine - 0.5
    columns = [np.interp(centres, np.arange(coarse), normalised) for normalised in np.eye(coarse)]
    return np.stack(columns, axis=1).astype(np.float32)
