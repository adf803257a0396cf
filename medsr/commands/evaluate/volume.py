"""`volume`: isotropic scans made thick through-plane, and refined back."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medsr.commands.evaluate.case import Case, Item
from medsr.commands.evaluate.isotropic import IsotropicBenchmark
from medsr.commands.volume.arguments import open_for
from medsr.core.types import Array
from medsr.data.volumes import FOREGROUND, ISOTROPIC_WITHIN
from medsr.degradation.slice_profile import matrix
from medsr.engines.base import Compute
from medsr.io.volumes import volume as volume_io
from medsr.networks.weight_store import VOLUME_BASELINES
from medsr.volumes.acquisition import Acquisition
from medsr.volumes.adapt import adapt_model
from medsr.volumes.models import LoadedSliceModel, open_slice_model
from medsr.volumes.refine import Method, refine
from medsr.volumes.request import Request


@dataclass(frozen=True)
class VolumeRunner:
    """A slice model as `medsr volume` runs it. `minutes`: of learning from each thick scan first, or None."""

    engine: LoadedSliceModel
    method: Method
    minutes: float | None = None

    @property
    def sha256(self) -> str | None:
        """Of the weight file; None for a baseline."""
        return self.engine.sha256

    @property
    def note(self) -> str:
        """Whether it learned from the scans."""
        return f"learned from each thick scan first, {self.minutes:g} minutes" if self.minutes else ""

    def __call__(self, case: Case) -> Array:
        """Thick to fine, float32, unit values that are not clipped."""
        i, j, k = case.ground_truth.shape
        engine = self.engine
        if self.minutes is not None:
            coarse: Any = case.low_resolution.shape
            engine, _ = adapt_model(engine, case.low_resolution, Acquisition(coarse, (i, j, k)), self.minutes)
        result: Array = refine(case.low_resolution, (i, j, k), engine.model, self.method).stored
        return result


@dataclass
class VolumeBenchmark(IsotropicBenchmark):
    """Thick along the last axis, towards superior."""

    baseline: str = field(default="cubic", init=False)

    def load(self, item: Item) -> Case:
        """Thick along the last axis; `extra` is the mean step in mm."""
        unit, step = self.read(item)
        _, fine = self.slices(item, unit.shape[2])
        truth = np.ascontiguousarray(unit[:, :, :fine])
        return Case(item.id, truth, self.degraded(truth), {"foreground": truth > FOREGROUND}, extra=step)

    def degraded(self, ground_truth: Array) -> Array:
        """Thick slices of an (I, J, K) array that holds whole ones."""
        fine = ground_truth.shape[2]
        profile = matrix(fine, int(fine / self.scale + 0.5)).T.astype(np.float32)
        thick: Array = np.ascontiguousarray(ground_truth @ profile)
        return thick

    def step(self, case: Case) -> float:
        """All fine steps are the scan's mean one."""
        return float(case.extra)

    def open(self, model: str, compute: Compute, tile: int | None) -> VolumeRunner:
        """Raises UsageError or WeightsError."""
        if model in VOLUME_BASELINES:
            return VolumeRunner(open_slice_model(model, compute), Method())
        request = Request(model, method=self.method, adapt=self.adapt, compute=compute)
        return VolumeRunner(open_for(request), self.method, self.adapt)

    def export_inputs(self, case: Case, stem: Path) -> None:
        """NIfTI, float32 unit values, axes to right, anterior and superior; see `_affine`."""
        thick = volume_io.Volume(case.low_resolution, _affine(case, self.step(case)))
        volume_io.write(stem.with_name(f"{stem.name}.nii.gz"), thick)

    def protocol(self) -> dict[str, Any]:
        """Every parameter."""
        return {
            "images": f"isotropic volumes (spacings within a factor of {ISOTROPIC_WITHIN}), of a series the first",
            "ground_truth": "unit values: 0.5 to 99.5 percentile; cut at the top to whole thick slices",
            "scale": self.scale,
            "low_resolution": f"mean downsampling (box slice profile) by {self.scale:g} towards superior",
            **self.processing(),
            "ssim": "3D, Gaussian window of sigma 1.5 (11 voxels), K 0.01 and 0.03",
            "mse": "in 1/255 of the unit range, squared",
            "regions": f"whole volume; _foreground: above {FOREGROUND:.0%} of the unit range",
            "sharpness": "of the middle coronal slice",
        }


def _affine(case: Case, step: float) -> NDArray[np.float64]:
    """(4, 4): of a case's input.

    Axes to right, anterior, superior, the first fine voxel at the origin, all fine steps the scan's mean one: then
    through-plane is exactly the factor coarser, whatever else a program looks at.
    """
    factor = case.ground_truth.shape[2] / case.low_resolution.shape[2]
    affine = np.diag([step, step, step * factor, 1.0])
    affine[2, 3] = step * (factor - 1) / 2
    return affine
