"""`--fuse learned`: two planes' results fused by a small network that sees both in the third plane."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from medsr.core.errors import UsageError
from medsr.core.types import Array
from medsr.degradation.thick_slices import FACTOR_RANGE
from medsr.engines.base import Compute, Engine, finite
from medsr.engines.selection import EXPORTED, open_engine
from medsr.io.files import sha256
from medsr.networks import checkpoint, weight_store
from medsr.volumes.acquisition import Acquisition

Index = tuple[slice, ...]
ARCHITECTURE = "fuser"
BUNDLED = "medsr-mri-fusion"
BORDER = 12
"""Pixels reflected around a slice before the network sees it."""


@dataclass(frozen=True)
class Fuser:
    """A fusion network, ready to compute. On the CPU always: it is small, and there the same on every machine."""

    name: str
    engine: Engine

    def __call__(self, interpolated: Array, first: Array, second: Array, factor: float) -> Array:
        """One slice of the third plane, (H, W) each, in unit values; `factor`: how coarse the scan is through it."""
        height, width = interpolated.shape
        mode = "symmetric" if min(height, width) > BORDER + 1 else "edge"
        padding = ((0, 0), (BORDER, BORDER + height % 2), (BORDER, BORDER + width % 2))
        padded = np.pad(np.stack([interpolated, first, second]), padding, mode)  # type: ignore[call-overload]
        coarse = np.full((1, *padded.shape[1:]), (factor - 1) / FACTOR_RANGE, np.float32)
        result = finite(self.engine(np.concatenate([padded, coarse])[None])[0, 0], self.name, self.engine.precision)
        return result[BORDER : BORDER + height, BORDER : BORDER + width]


def file_of(fuse: str) -> Path:
    """The weight file that `learned`, or a name or file of one's own, stands for. Raises UsageError or WeightsError."""
    path = weight_store.locate(BUNDLED if fuse == "learned" else fuse)
    if path.suffix in EXPORTED:
        raise UsageError(f"`fuse={fuse}`: is an exported network; give the weight file it was made from")
    spec = checkpoint.describe(path).get("spec", {})
    if not isinstance(spec, dict) or spec.get("architecture") != ARCHITECTURE:
        raise UsageError(f"`fuse={fuse}`: holds no fusion network (medsr weights fusion trains one)")
    return path


def trained_on(fuse: str) -> str | None:
    """SHA-256 of the weights whose results a fusion network learned to fuse; None where it does not say, or none is."""
    if fuse in ("mean", "median", "weighted"):
        return None
    training = checkpoint.describe(file_of(fuse)).get("training", {})
    return training.get("fuses") if isinstance(training, dict) else None


def open_fuser(fuse: str, engine: str = "auto") -> Fuser:
    """`learned` or a weight file; `engine` as in `Compute`. Raises UsageError or WeightsError."""
    path = file_of(fuse)
    return _opened(path, sha256(path), engine)


@lru_cache(2)
def _opened(path: Path, _digest: str, engine: str) -> Fuser:
    """Once for every content: a file may be written anew under its name."""
    fuser_engine, _ = open_engine(path, str(path), Compute("cpu", engine))
    return Fuser(path.stem, fuser_engine)


class Learned:
    """Keeps both planes' volumes, and fuses them slice by slice along the thick axis."""

    def __init__(self, fuser: Fuser, acquired: Array, acquisition: Acquisition) -> None:
        self.fuser, self.acquired, self.acquisition = fuser, acquired, acquisition
        self.planes = [np.zeros(acquisition.fine, np.float32)]

    def add(self, index: Index, values: Array) -> None:
        self.planes[-1][index] = values

    def end_plane(self) -> None:
        if len(self.planes) < 2:
            self.planes.append(np.zeros_like(self.planes[0]))

    def result(self) -> Array:
        first, second = self.planes
        for slices in third_plane(self.acquired, first, second, self.acquisition):
            slices.first[...] = self.fuser(slices.interpolated, slices.first, slices.second, slices.factor)
        self.planes = []
        return first


@dataclass(frozen=True)
class ThirdPlane:
    """One slice: interpolated, and as two planes made it, (H, W) each, the latter as views."""

    interpolated: Array
    first: Array
    second: Array
    factor: float


def third_plane(acquired: Array, first: Array, second: Array, acquisition: Acquisition) -> Iterator[ThirdPlane]:
    """The slices of two planes' volumes, perpendicular to the one axis that is refined."""
    (axis,) = acquisition.refined
    operator = acquisition.consistent()[axis]
    coarse = np.moveaxis(acquired, axis, 0)
    for index, row in enumerate(operator):
        first_slice, second_slice = (np.moveaxis(volume, axis, 0)[index] for volume in (first, second))
        interpolated = np.tensordot(row, coarse, 1).astype(np.float32)
        yield ThirdPlane(interpolated, first_slice, second_slice, acquisition.factor(axis))
