"""`volume --stacks`: isotropic scans made into several thick stacks, the patient moved between them, joined again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medsr.commands.evaluate.case import Case, Item, Runner
from medsr.commands.evaluate.isotropic import IsotropicBenchmark
from medsr.commands.evaluate.on_truth import on_truth
from medsr.commands.evaluate.stack_runners import Alone, Averaged, StackedScan, Together
from medsr.commands.volume.arguments import open_for
from medsr.core.errors import UsageError
from medsr.core.geometry import PLANES, Grid, Plane, Shape
from medsr.core.types import Array
from medsr.data.volumes import FOREGROUND, ISOTROPIC_WITHIN
from medsr.degradation import moved_stacks
from medsr.engines.base import Compute
from medsr.io.volumes import volume as volume_io
from medsr.metrics.regions import foreground
from medsr.metrics.registration import displacement, edge_points
from medsr.networks.weight_store import VOLUME_BASELINES
from medsr.volumes.models import open_slice_model
from medsr.volumes.refine import Method
from medsr.volumes.request import Request
from medsr.volumes.stacks.joined import NamedVolume

ORDER: tuple[Plane, ...] = ("axial", "sagittal", "coronal")
"""The stacks by their plane; the first is the one that all are registered to."""
GRIDS = "grids"
"""The folder beside the stacks that shows other programs which voxels are wanted."""


@dataclass
class StackBenchmark(IsotropicBenchmark):
    """`stacks`: how many are made of each scan, 2 or 3."""

    stacks: int = 3
    baseline: str = field(default="averaged", init=False)

    def __post_init__(self) -> None:
        """Raises UsageError for what is not done with several stacks."""
        if replace(self.method, consistency=True) != Method() or self.adapt is not None:
            raise UsageError("`planes`, `fuse` and `adapt`: not with `stacks`, which are put together in one way")

    @property
    def planes(self) -> tuple[Plane, ...]:
        """Of the stacks, in order."""
        return ORDER[: self.stacks]

    def load(self, item: Item) -> Case:
        """The scan cut to whole thick slices along every axis that some stack is thick along; `extra`: the stacks."""
        unit, step = self.read(item)
        axes = [PLANES.index(plane) for plane in self.planes]
        thick = {axis: self.slices(item, unit.shape[axis]) for axis in axes}
        shape: Shape = tuple(thick[axis][1] if axis in thick else unit.shape[axis] for axis in range(3))  # type: ignore[assignment]
        grid = Grid(shape, np.diag([step, step, step, 1.0]))
        middle = step * np.argwhere(foreground(unit[..., None])).mean(axis=0)
        stacks: list[NamedVolume] = []
        disturbances = []
        for index, (plane, axis) in enumerate(zip(self.planes, axes, strict=True)):
            disturbance = moved_stacks.draw(item.image.name, index, middle)
            fine = moved_stacks.moved(unit, grid, disturbance.motion)
            voxels = moved_stacks.thick_stack(fine, axis, thick[axis][0], disturbance)
            affine = grid.on(voxels.shape).affine
            stacks.append((f"{item.image}, {plane}", volume_io.Volume(voxels, affine)))
            disturbances.append(disturbance)
        truth = moved_stacks.moved(unit, grid, np.eye(4))
        scan = StackedScan(grid, stacks, disturbances)
        return Case(item.id, truth, stacks[0][1].stored, {"foreground": truth > FOREGROUND}, extra=scan)

    def step(self, case: Case) -> float:
        """All fine steps are the scan's mean one."""
        scan: StackedScan = case.extra
        return scan.grid.spacing[0]

    def open(self, model: str, compute: Compute, tile: int | None) -> Runner:
        """Raises UsageError or WeightsError."""
        if model == self.baseline:
            return Averaged()
        if model in VOLUME_BASELINES:
            request = Request(model, compute=compute)
            return Together(open_slice_model(model, compute), request)
        request = Request(model, method=self.method, compute=compute)
        return Together(open_for(request), request)

    def rows(self, model: str, runner: Runner) -> Mapping[str, Runner]:
        """Beside the baseline, the best B-spline; each model alone, with all stacks, and where it knows the motion."""
        if not isinstance(runner, Together):
            cubic = Alone(open_slice_model("cubic", Compute("cpu")), Request("cubic"))
            return {model: runner, "cubic alone": cubic}
        return {
            f"{model} alone": Alone(runner.engine, runner.request),
            f"{model} together": runner,
            f"{model} together, true motion": Together(runner.engine, runner.request, informed=True),
        }

    def export_inputs(self, case: Case, stem: Path) -> None:
        """NIfTI, float32, axes to right, anterior and superior; the headers do not know that the patient moved.

        In the folder `grids`: the grid that a result should have, without values.
        """
        scan: StackedScan = case.extra
        for plane, (_, volume) in zip(self.planes, scan.stacks, strict=True):
            volume_io.write(stem.with_name(f"{stem.name}_{plane}.nii.gz"), volume)
        empty = volume_io.Volume(np.zeros(scan.grid.shape, np.uint8), scan.grid.affine)
        volume_io.write(stem.parent / GRIDS / f"{stem.name}_grid.nii.gz", empty)

    def on_truth(self, path: Path, values: Array, source: Grid, case: Case) -> Array:
        """Another program's values, from any grid of such voxels that covers the foreground."""
        scan: StackedScan = case.extra
        return on_truth(path, values, source, scan.grid, case.regions["foreground"])

    def score(self, result: Array, case: Case) -> dict[str, float]:
        """As without stacks, and how far the registration behind the result was off, where there was one."""
        scan: StackedScan = case.extra
        metrics = super().score(result, case)
        estimates = scan.take_registered()
        if estimates is not None:
            points = edge_points(case.ground_truth, scan.grid.affine)
            errors = _errors(estimates, scan, points)
            metrics |= {"registration_error": float(np.mean(errors)), "registration_worst": max(errors)}
        return metrics

    def protocol(self) -> dict[str, Any]:
        """Every parameter."""
        low, high = moved_stacks.GAINS
        first, *others = self.planes
        return {
            "images": f"isotropic volumes (spacings within a factor of {ISOTROPIC_WITHIN}), of a series the first; "
            "their steps count as equal, the mean one",
            "ground_truth": "unit values: 0.5 to 99.5 percentile; cut at the top to whole thick slices of every stack",
            "scale": self.scale,
            "stacks": f"{', '.join(self.planes)}; the {first} one lies where the ground truth does",
            "motion": f"before every other stack ({', '.join(others)}) a shift of 0 to {moved_stacks.MOST_MM:g} mm and "
            f"a turn of 0 to {moved_stacks.MOST_DEGREES:g} degrees around the middle of the foreground, both uniform, "
            f"in random directions; by B-splines of order {moved_stacks.ORDER}, 0 outside; headers do not tell",
            "gains": f"1 for the {first} stack, {low:g} to {high:g} for the others, uniform in the logarithm",
            "low_resolution": f"mean downsampling (box slice profile) by {self.scale:g} across each stack's slices, "
            f"then Rician noise of {100 * moved_stacks.NOISE:g} % of the unit range",
            "seed": f"{moved_stacks.SEED}, with the file's name and the stack",
            "output": f"{'made' if self.method.consistency else 'not made'} consistent with the stacks; float32, not "
            "clipped; on the grid and in the values of the ground truth",
            "other_programs": "a result on another grid is brought onto the ground truth's by cubic B-splines, by its "
            "header",
            "alone": "the stack with the highest PSNR in the foreground, brought to the ground truth by its true "
            f"motion (B-spline of order {moved_stacks.ORDER}) and gain",
            "ssim": "3D, Gaussian window of sigma 1.5 (11 voxels), K 0.01 and 0.03",
            "mse": "in 1/255 of the unit range, squared",
            "regions": f"whole volume; _foreground: above {FOREGROUND:.0%} of the unit range",
            "registration_error": "mean displacement of the foreground's outermost voxels (its largest part, holes "
            "filled) by the motion found instead of the true one: mean of all stacks but the first, and the worst",
            "sharpness": "of the middle coronal slice",
        }


def _errors(estimates: list[NDArray[np.float64]], scan: StackedScan, points: NDArray[np.float64]) -> list[float]:
    """Of every stack but the first, the mean over the points in mm."""
    pairs = zip(estimates[1:], scan.disturbances[1:], strict=True)
    return [float(displacement(estimate, disturbance.motion, points).mean()) for estimate, disturbance in pairs]
