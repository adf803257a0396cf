"""`volume`: isotropic scans made thick through-plane, and refined back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from medsr.benchmark.case import Array, Case, Item, Say
from medsr.data.volumes import FOREGROUND, ISOTROPIC_WITHIN
from medsr.degrade.slice_profile import matrix
from medsr.engines.base import Compute
from medsr.errors import InputError
from medsr.infer.models import SliceEngine, open_slice_model
from medsr.infer.volume import Method, refine
from medsr.intensity import Window
from medsr.io import volume as volume_io
from medsr.measure import metrics
from medsr.scan.labels import is_label_map
from medsr.scan.orientation import Canonical

LEAST = 11
"""Voxels along the shortest axis that SSIM's window fits in."""


@dataclass(frozen=True)
class VolumeRunner:
    """A slice model with everything `medsr volume` does by default: all useful planes, fused, made consistent."""

    engine: SliceEngine
    note: str = ""

    @property
    def name(self) -> str:
        """The model's name."""
        return self.engine.name

    def __call__(self, case: Case) -> Array:
        """Thick to fine, float32, unit values that are not clipped."""
        i, j, k = case.ground_truth.shape
        result: Array = refine(case.low_resolution, (i, j, k), self.engine.model, Method()).stored
        return result


@dataclass
class Volume:
    """`scale`: through-plane factor, any real number from above 1 to 16."""

    data: Path
    scale: float = 2
    name: str = field(default="volume", init=False)
    baseline: str = field(default="cubic", init=False)

    def items(self) -> Sequence[Item]:
        """Raises InputError where there is no volume."""
        if not self.data.is_dir():
            raise InputError(f"{self.data}: not a folder")
        paths = [path for path in sorted(self.data.rglob("*")) if path.is_file() and volume_io.is_volume(path)]
        if not paths:
            there = ", ".join(sorted(path.name for path in self.data.iterdir())[:3]) or "nothing"
            raise InputError(f"{self.data}: expected isotropic volumes (NIfTI, NRRD, MetaImage, MGH), found {there}")
        return [Item(path.relative_to(self.data).as_posix(), {"image": path}) for path in paths]

    def calibrate(self, say: Say) -> None:
        """Nothing to do."""

    def load(self, item: Item) -> Case:
        """The first volume of the file, turned to right, anterior, superior; thick along the last."""
        volume = volume_io.read(item.image)
        spacing = volume.grid.spacing
        if max(spacing) / min(spacing) > ISOTROPIC_WITHIN:
            dims = " x ".join(f"{step:.3g}" for step in spacing)
            raise InputError(f"{item.image}: {dims} mm are not isotropic: no ground truth through-plane")
        stored = np.ascontiguousarray(Canonical(volume).view(volume.stored, 0), np.float32)
        coarse = int(stored.shape[2] / self.scale)
        fine = round(coarse * self.scale)
        if coarse == fine:
            raise InputError(f"{item.image}: --scale {self.scale:g} leaves all of its {fine} slices: nothing to refine")
        if volume.stored.dtype.kind in "iu" and is_label_map(stored):
            raise InputError(f"{item.image}: a label map, not a scan")
        if min(*stored.shape[:2], fine) < LEAST or coarse < 2:
            raise InputError(f"{item.image}: {' x '.join(map(str, stored.shape))} voxels are too few to measure")
        truth = Window.of_values(stored).to_unit(stored[:, :, :fine])
        thick = np.ascontiguousarray(truth @ matrix(fine, coarse).T.astype(np.float32))
        return Case(item.id, truth, thick, {"foreground": truth > FOREGROUND})

    def open(self, model: str, compute: Compute, tile: int | None) -> VolumeRunner:
        """Raises UsageError or WeightsError."""
        return VolumeRunner(open_slice_model(model, compute))

    def score(self, result: Array, case: Case) -> dict[str, float]:
        """PSNR, SSIM (3D) and MSE, whole and in the foreground."""
        truth, made = case.ground_truth[..., None], result[..., None]
        found = {"psnr": metrics.psnr(made, truth), "ssim": metrics.ssim(made, truth), "mse": metrics.mse(made, truth)}
        where = case.regions["foreground"]
        if where.any():
            for name, metric in (("psnr", metrics.psnr), ("ssim", metrics.ssim), ("mse", metrics.mse)):
                found[f"{name}_foreground"] = metric(made, truth, where)
        found["sharpness"] = metrics.sharpness(self.show(result, case))
        return found

    def show(self, array: Array, case: Case) -> Array:
        """The coronal slice through the middle of the foreground, head up."""
        where = np.flatnonzero(case.regions["foreground"].any(axis=(0, 2)))
        middle = int(where[len(where) // 2]) if len(where) else array.shape[1] // 2
        return np.ascontiguousarray(array[:, middle, ::-1].T[:, :, None]).clip(0, 1)

    def protocol(self) -> dict[str, Any]:
        """Every parameter."""
        return {
            "images": f"isotropic volumes (spacings within a factor of {ISOTROPIC_WITHIN}), of a series the first",
            "ground_truth": "unit values: 0.5 to 99.5 percentile; cut at the top to whole thick slices",
            "scale": self.scale,
            "low_resolution": f"mean downsampling (box slice profile) by {self.scale:g} towards superior",
            "output": "all planes that hold that axis, averaged, made consistent; float32, not clipped",
            "ssim": "3D, Gaussian window of sigma 1.5 (11 voxels), K 0.01 and 0.03",
            "mse": "in 1/255 of the unit range, squared",
            "regions": f"whole volume; _foreground: above {FOREGROUND:.0%} of the unit range",
            "sharpness": "of the middle coronal slice",
        }
