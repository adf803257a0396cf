"""What the benchmarks on isotropic scans share: finding and reading them, results of other programs, scores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from medsr.commands.evaluate.case import Case, Item, Runner
from medsr.core.errors import InputError
from medsr.core.geometry import Grid
from medsr.core.intensity import Window
from medsr.core.types import Array, Notify
from medsr.data.volumes import ISOTROPIC_WITHIN
from medsr.io import scans
from medsr.io.files import sha256
from medsr.io.volumes import volume as volume_io
from medsr.io.volumes import volume_files
from medsr.io.wrong_kind import IMAGES, holds_images
from medsr.metrics import psnr_ssim
from medsr.volumes.acquisition import Acquisition
from medsr.volumes.labels import is_label_map
from medsr.volumes.learned_fusion import file_of
from medsr.volumes.orientation import Canonical
from medsr.volumes.refine import Method, check_fusion, check_planes
from medsr.volumes.request import Request
from medsr.volumes.stacks.prepare import canonical_grid

MOST_BRIGHTER = 4
"""No result is so many times as bright as its input: its values were rescaled."""
LEAST = 11
"""Voxels along the shortest axis that SSIM's window fits in."""


@dataclass
class IsotropicBenchmark:
    """`scale`: through-plane factor, any real number from above 1 to 16. `method`, `adapt` (minutes): of networks."""

    data: Path
    scale: float = 2
    method: Method = field(default_factory=Method)
    adapt: float | None = None
    name: str = field(default="volume", init=False)
    _left_out: str = field(default="", init=False, repr=False)

    def __post_init__(self) -> None:
        """Raises UsageError for a way that there is none."""
        Request(method=self.method, adapt=self.adapt)
        check_planes(self.method.planes, Acquisition((2, 2, 1), (2, 2, 2)))
        check_fusion(self.method, Acquisition((2, 2, 1), (2, 2, 2)))

    def customised(self) -> bool:
        """Whether networks are run otherwise than `medsr volume` runs them unasked."""
        return self.method != Method() or self.adapt is not None

    def items(self) -> Sequence[Item]:
        """Raises InputError where there is no volume."""
        if not self.data.is_dir():
            raise InputError(f"{self.data}: not a folder")
        paths, self._left_out = scans.paths_below(self.data)
        if not paths:
            if holds_images(self.data):
                raise InputError(f"{self.data}: {IMAGES}medsr evaluate folder --data {self.data}")
            listing = ", ".join(sorted(path.name for path in self.data.iterdir())[:3]) or "nothing"
            raise InputError(f"{self.data}: expected isotropic scans (files or DICOM series), found {listing}")
        names = [path.relative_to(self.data).as_posix() if path != self.data else path.name for path in paths]
        return [Item(name, {"image": path}) for name, path in zip(names, paths, strict=True)]

    def settle(self, items: Sequence[Item], notify: Notify) -> None:
        """Say what was left out."""
        if self._left_out:
            notify(self._left_out)

    def calibrate(self, notify: Notify) -> None:
        """Nothing to do."""

    def rows(self, model: str, runner: Runner) -> Mapping[str, Runner]:
        """One for each model."""
        return {model: runner}

    def read(self, item: Item) -> tuple[Array, float]:
        """Unit values of the first volume of the file, turned to right, anterior, superior; the mean step in mm.

        Raises InputError for what cannot be ground truth.
        """
        volume = volume_io.read(item.image)
        self.check(volume, item.image)
        spacing = volume.grid.spacing
        if max(spacing) / min(spacing) > ISOTROPIC_WITHIN:
            dims = " x ".join(f"{step:.3g}" for step in spacing)
            raise InputError(f"{item.image}: {dims} mm are not isotropic: no ground truth through-plane")
        stored = np.ascontiguousarray(Canonical(volume).view(volume.stored, 0), np.float32)
        if volume.stored.dtype.kind in "iu" and is_label_map(stored):
            raise InputError(f"{item.image}: a label map, not a scan")
        if min(stored.shape) < LEAST:
            raise InputError(f"{item.image}: {' x '.join(map(str, stored.shape))} voxels are too few to measure")
        return Window.of_values(stored).to_unit(stored), float(np.prod(spacing)) ** (1 / 3)

    def check(self, volume: volume_io.Volume, path: Path) -> None:
        """Raise InputError for what else cannot be ground truth."""

    def slices(self, item: Item, slices: int) -> tuple[int, int]:
        """(thick, fine): whole thick slices of so many, and how many fine ones they hold. Raises InputError."""
        coarse = int(slices / self.scale)
        fine = round(coarse * self.scale)
        if coarse == fine:
            raise InputError(f"{item.image}: `scale={self.scale:g}` leaves all of its {fine} slices: nothing to refine")
        if fine < LEAST or coarse < 2:
            raise InputError(f"{item.image}: {slices} slices are too few to measure with `scale={self.scale:g}`")
        return coarse, fine

    def step(self, case: Case) -> float:
        """Millimetres from voxel to voxel of the ground truth, whose first voxel is at the origin."""
        raise NotImplementedError

    def is_result(self, path: Path) -> bool:
        """By its suffix; of header and data, the header."""
        return volume_files.is_volume(path)

    def import_results(self, path: Path, case: Case) -> Array:
        """(I, J, K) float32, what the stored values mean, turned to right, anterior, superior.

        Raises InputError for another grid than the ground truth's, several volumes, or other values than unit ones.
        """
        volume = volume_io.read(path)
        if volume.volumes > 1:
            raise InputError(f"{path}: {volume.volumes} volumes, expected one")
        stored = np.ascontiguousarray(Canonical(volume).view(volume.stored, 0), np.float32)
        values = stored * np.float32(volume.slope) + np.float32(volume.intercept)
        result = self.on_truth(path, values, canonical_grid(volume), case)
        largest = float(np.abs(case.low_resolution).max())
        if np.abs(result).max() > MOST_BRIGHTER * largest:
            raise InputError(
                f"{path}: values to {np.abs(result).max():.4g}, its input's are to {largest:.4g}: rescaled"
            )
        return result

    def on_truth(self, path: Path, values: Array, source: Grid, case: Case) -> Array:
        """Another program's values on the grid `source` as they are: it must fill the box of the ground truth."""
        if values.shape != case.ground_truth.shape:
            actual, expected = (" x ".join(map(str, array.shape)) for array in (values, case.ground_truth))
            raise InputError(f"{path}: {actual} voxels, the ground truth has {expected}")
        _check_position(path, source, np.diag([self.step(case)] * 3 + [1.0]))
        return values

    def score(self, result: Array, case: Case) -> dict[str, float]:
        """PSNR, SSIM (3D) and MSE, whole and in the foreground."""
        truth, estimate = case.ground_truth[..., None], result[..., None]
        metrics = {
            "psnr": psnr_ssim.psnr(estimate, truth),
            "ssim": psnr_ssim.ssim(estimate, truth),
            "mse": psnr_ssim.mse(estimate, truth),
        }
        foreground = case.regions["foreground"]
        if foreground.any():
            for name, metric in (("psnr", psnr_ssim.psnr), ("ssim", psnr_ssim.ssim), ("mse", psnr_ssim.mse)):
                metrics[f"{name}_foreground"] = metric(estimate, truth, foreground)
        metrics["sharpness"] = psnr_ssim.sharpness(self.show(result, case))
        return metrics

    def show(self, array: Array, case: Case) -> Array:
        """The coronal slice through the middle of the foreground, head up."""
        where = np.flatnonzero(case.regions["foreground"].any(axis=(0, 2)))
        middle = int(where[len(where) // 2]) if len(where) else array.shape[1] // 2
        return np.ascontiguousarray(array[:, middle, ::-1].T[:, :, None]).clip(0, 1)

    def processing(self) -> dict[str, str]:
        """How networks are run."""
        method = self.method
        planes = "all planes that hold that axis" if method.planes is None else f"{', '.join(method.planes)} slices"
        descriptions = {"mean": "averaged", "median": "median", "weighted": "weighted by agreement"}
        fused = descriptions.get(method.fuse) or f"fused by a network ({sha256(file_of(method.fuse))[:8]})"
        consistency = "made consistent" if method.consistency else "not made consistent"
        adapted = {"adapted": f"to each thick scan, {self.adapt:g} minutes"} if self.adapt else {}
        return {"output": f"{planes}, {fused}, {consistency}; float32, not clipped", **adapted}


def _check_position(path: Path, source: Grid, wanted: NDArray[np.float64]) -> None:
    """Raise InputError for a result that lies elsewhere: mirrored or moved, its voxels would be held against others."""
    middle = np.array([*((n - 1) / 2 for n in source.shape), 1.0])
    off, step = source.affine - wanted, wanted[0, 0]
    if np.abs(off[:3, :3]).max() > 0.05 * step or np.abs(off @ middle).max() > step:
        raise InputError(
            f"{path}: lies elsewhere than its input does, by its header: it must fill the same box, "
            f"{step:.4g} mm a voxel"
        )
