"""Ways from several thick stacks to one volume, as `evaluate volume` with `stacks` compares them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from medsr.commands.evaluate.case import Case
from medsr.core.geometry import Grid
from medsr.core.types import Array
from medsr.degradation.moved_stacks import Disturbance, moved
from medsr.io.volumes.base import Volume
from medsr.metrics.psnr_ssim import psnr
from medsr.volumes.choose_model import ResolvedRequest
from medsr.volumes.models import LoadedSliceModel
from medsr.volumes.refine import Method, refine
from medsr.volumes.request import Request
from medsr.volumes.stacks.join import join
from medsr.volumes.stacks.joined import JoinedScan, NamedVolume
from medsr.volumes.stacks.on_grid import coverage
from medsr.volumes.stacks.request import JoinRequest


@dataclass(eq=False)
class StackedScan:
    """What a case holds beside its ground truth, on `grid`. `disturbances`: the true motion and gain of each stack."""

    grid: Grid
    stacks: Sequence[NamedVolume]
    disturbances: Sequence[Disturbance]
    _registered: list[NDArray[np.float64]] | None = field(default=None, repr=False)

    def keep_registered(self, scan: JoinedScan) -> None:
        """Remember by which motions a result came about, for the score of that result."""
        self._registered = [stack.motion for stack in scan.stacks]

    def take_registered(self) -> list[NDArray[np.float64]] | None:
        """The motions behind the last result, once; None where nothing was registered."""
        motions, self._registered = self._registered, None
        return motions


@dataclass(frozen=True)
class Averaged:
    """No network and no model of the slices: what one would do by hand."""

    sha256: None = None
    note: str = "cubic B-splines of all stacks, registered to the first, gains matched; their mean where they cover"

    def __call__(self, case: Case) -> Array:
        """Unit values that are not clipped."""
        scan: StackedScan = case.extra
        cubic = Together(LoadedSliceModel("cubic", None), Request("cubic", method=Method(consistency=False)))
        joined = cubic.join(scan)
        total, weight = np.zeros(scan.grid.shape, np.float32), np.zeros(scan.grid.shape, np.float32)
        for (_, volume), stack in zip(scan.stacks, joined.stacks, strict=True):
            covered = coverage(volume, scan.grid, stack.motion)
            total += np.where(covered, stack.placed, 0)
            weight += covered
        first = joined.stacks[0].placed
        result: Array = np.where(weight > 0, total / np.maximum(weight, 1), first)
        return result


@dataclass(frozen=True)
class Alone:
    """The stack that a model makes the best of by itself; neither choice nor motion and gain count against it."""

    engine: LoadedSliceModel
    request: Request

    @property
    def sha256(self) -> str | None:
        """Of the weight file; None for a baseline."""
        return self.engine.sha256

    @property
    def note(self) -> str:
        """How it is placed."""
        return "the best stack alone, placed by its true motion and gain"

    def __call__(self, case: Case) -> Array:
        """Unit values that are not clipped."""
        truth = case.ground_truth[..., None]
        region = case.regions["foreground"] if case.regions["foreground"].any() else None
        scan: StackedScan = case.extra
        results = [
            self.refined(volume.stored, scan.grid, disturbance)
            for (_, volume), disturbance in zip(scan.stacks, scan.disturbances, strict=True)
        ]
        return max(results, key=lambda result: psnr(result[..., None], truth, region))

    def refined(self, voxels: Array, grid: Grid, disturbance: Disturbance) -> Array:
        """One stack, refined in its own frame as `medsr volume` does it, and brought back."""
        fine: Array = refine(voxels, grid.shape, self.engine.model, self.request.method).stored
        back: NDArray[np.float64] = np.linalg.inv(disturbance.motion).astype(np.float64)
        return moved(fine, grid, back, outside="nearest") / np.float32(disturbance.gain)


@dataclass(frozen=True)
class Together:
    """All stacks joined, as `medsr volume` does it with `together`. `informed`: the true motion is given."""

    engine: LoadedSliceModel
    request: Request
    informed: bool = False

    @property
    def sha256(self) -> str | None:
        """Of the weight file; None for a baseline."""
        return self.engine.sha256

    @property
    def note(self) -> str:
        """Whether it registered the stacks."""
        return "joined, the true motion given" if self.informed else "registered and joined"

    def __call__(self, case: Case) -> Array:
        """In the values of the first stack, not clipped."""
        joined = self.join(case.extra)
        result: Array = joined.volume.stored
        return result

    def join(self, scan: StackedScan) -> JoinedScan:
        """Onto the ground truth's grid; what was registered is remembered."""
        motions = [disturbance.motion for disturbance in scan.disturbances] if self.informed else None
        resolved = [ResolvedRequest(self.request, self.engine) for _ in scan.stacks]
        like = Volume(np.empty(scan.grid.shape, np.float32), scan.grid.affine)
        joined = join(scan.stacks, resolved, JoinRequest(), like, motions)
        if not self.informed:
            scan.keep_registered(joined)
        return joined
