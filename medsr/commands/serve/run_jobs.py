"""The jobs themselves, done in the child that computes: the same steps as `medsr upscale` and `medsr volume`."""

from __future__ import annotations

import json
import math
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from medsr.commands.serve.inspect_upload import NIFTI, PIXELS, grid_of, write_nifti, write_pixels
from medsr.commands.serve.open_models import image_model, slice_model
from medsr.commands.serve.quota import Quota
from medsr.commands.serve.responses import VoxelGrid
from medsr.commands.upscale.models import DEFAULT_SCALE, Models
from medsr.commands.upscale.plans import plan as plan_images
from medsr.commands.upscale.run import ImageContext, ImageJob
from medsr.commands.volume.files import plan as plan_scans
from medsr.commands.volume.job import OutputOptions, ScanContext, ScanJob
from medsr.core.errors import InputError
from medsr.core.types import OnProgress
from medsr.data.pairs import alike
from medsr.engines.base import Compute
from medsr.images.network import Model, target_size
from medsr.io.dicom.files import numbered_members
from medsr.io.files import write_text
from medsr.io.images import image as image_io
from medsr.io.orientation import as_shown
from medsr.io.scans import Scan
from medsr.io.volumes.base import Volume
from medsr.networks.weight_store import VOLUME_BASELINES
from medsr.volumes.request import Request

INTERPOLATION_EFFORT = 0.05
"""Time of interpolation over a network's: 0.39 s beside 6.9 s of `medsr-retina-x2` for 565 x 584 pixels on one core."""


@dataclass(frozen=True)
class ImageTask:
    """Super-resolve `source` by `models` (names or weight files) into a folder each below `folder`, within `quota`."""

    source: Path
    folder: Path
    models: tuple[str, ...]
    outscale: float | None
    ground_truth: Path | None
    compute: Compute
    max_pixels: float
    quota: Quota


@dataclass(frozen=True)
class ImageOutput:
    """One result: its file, and its raw pixels beside it."""

    path: Path
    scale: float
    shape: tuple[int, int, int]
    dtype: str
    seconds: float
    psnr: float | None = None
    ssim: float | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class VolumeTask:
    """Refine `source` into `folder`, within `quota`. `series`: the UID of one of several."""

    source: Path
    folder: Path
    request: Request
    series: str | None
    max_voxels: float
    quota: Quota


@dataclass(frozen=True)
class VolumeOutput:
    """The refined scan's files."""

    path: Path
    nifti: Path
    sidecar: Path
    grid: VoxelGrid
    seconds: float
    uncertainty: Path | None = None
    uncertainty_nifti: Path | None = None
    uncertainty_p99: float | None = None
    interpolated_nifti: Path | None = None
    notes: tuple[str, ...] = ()


def run_image_task(task: ImageTask, on_progress: OnProgress) -> list[ImageOutput]:
    """One result for each model. Baselines take the factor of the first network among them."""
    opened = [image_model(name, task.compute, None, True) for name in task.models]
    default_scale = next((model.scale for model in opened if model.scale), DEFAULT_SCALE)
    outputs = []
    efforts = [effort(model) for model in opened]
    for index, model in enumerate(opened):
        scale = task.outscale or model.scale or default_scale

        def update(done: float, text: str = "", index: int = index, model: Model = model) -> None:
            on_progress(sum(efforts[:index]) + done * efforts[index], sum(efforts), model.name)

        models = Models(task.models[index], task.compute, outscale=scale, opener=image_model)
        outputs.append(_upscale(task, index, scale, ImageContext(models, None, update)))
    return outputs


def effort(model: Model) -> float:
    """A model's part of a job's progress: interpolation takes next to nothing of the time that a network takes."""
    return INTERPOLATION_EFFORT if model.scale is None else 1.0


def _upscale(task: ImageTask, index: int, scale: float, context: ImageContext) -> ImageOutput:
    start = time.monotonic()
    context.update(0)
    [(source, target)] = plan_images([task.source], task.folder / str(index)).jobs
    job = ImageJob(source, target, 0, context)
    loaded = job.load()
    height, width = target_size(loaded.image.pixels, scale)
    if height * width > task.max_pixels:
        raise InputError(
            f"the result would have {height * width / 1e6:.0f} megapixels; this server makes at most "
            f"{task.max_pixels / 1e6:g}: choose a smaller factor, or cut the image"
        )
    task.quota.check(2 * height * width * math.prod(loaded.image.pixels.shape[2:]) * loaded.image.pixels.itemsize)
    notes = list(job.write(job.compute(loaded)).notes)
    del loaded  # what the page shows takes as much memory again
    seconds = time.monotonic() - start
    written = image_io.read(target)  # what is shown is what is downloaded
    write_pixels(target.with_name(PIXELS), written, task.quota)
    task.quota.check()
    figures: dict[str, float] = {}
    if task.ground_truth is not None:
        figures, note = _measure(as_shown(written), task.ground_truth)
        notes += [note] if note else []
    shape: tuple[int, int, int] = written.pixels.shape  # type: ignore[assignment]
    return ImageOutput(target, scale, shape, written.pixels.dtype.name, seconds, notes=tuple(notes), **figures)


def _measure(result: image_io.Image, ground_truth: Path) -> tuple[dict[str, float], str]:
    """PSNR and SSIM of the file as written, or why there are none."""
    from medsr.metrics.psnr_ssim import psnr, ssim

    result, truth = alike(result, image_io.read_as_shown(ground_truth))
    if truth.pixels.shape != result.pixels.shape:
        (h, w, c), (height, width, channels) = truth.pixels.shape, result.pixels.shape
        return {}, (
            f"not measured: the ground truth has {w} x {h} pixels in {c} channel(s), "
            f"the result {width} x {height} in {channels}"
        )
    if min(truth.pixels.shape[:2]) < 11:
        return {}, "not measured: SSIM needs 11 x 11 pixels"
    pair = result.to_unit(), truth.to_unit()
    return {"psnr": psnr(*pair), "ssim": ssim(*pair)}, ""


def run_volume_task(task: VolumeTask, on_progress: OnProgress) -> VolumeOutput:
    """The refined scan, its sidecar and what the page shows of it."""
    start = time.monotonic()
    on_progress(0, 1, "reading the scan")
    lines: list[str] = []
    engine = slice_model(task.request.model, task.request.compute)
    context = ScanContext(task.request, OutputOptions(series=task.series), engine, lines.append, None, on_progress)
    task.folder.mkdir(parents=True, exist_ok=True)
    scans = [Scan(task.source)]
    job = ScanJob(plan_scans(scans, task.folder, False, (), task.request.method.uncertainty)[0][0], context)
    with numbered_members():
        loaded = job.load()
    scan = loaded.scan
    fine = task.request.target(scan.grid)
    if (voxels := scan.volumes * fine[0] * fine[1] * fine[2]) > task.max_voxels:
        raise InputError(
            f"the result would have {voxels / 1e6:.0f} million voxels; this server makes at most "
            f"{task.max_voxels / 1e6:g} million: choose a coarser spacing"
        )
    compared = task.request.kind != "labels" and task.request.model not in VOLUME_BASELINES
    files = 2 + 2 * task.request.method.uncertainty + compared
    task.quota.check(files * voxels * scan.stored.itemsize)
    result = job.compute(loaded)
    refined, uncertainty, warnings = result.refined.volume, result.refined.uncertainty, result.refined.warnings
    on_progress(1, 1, "writing")
    notes = job.write(result).notes
    del loaded, result  # what the page shows takes as much memory again
    seconds = time.monotonic() - start
    paths = job.paths
    sidecar = paths.beside(".json")
    _hide_source(sidecar, task.source.name)
    nifti = task.folder / "view" / NIFTI
    write_nifti(nifti, refined, task.quota)
    interpolated = task.folder / "view" / f"interpolated_{NIFTI}" if compared else None
    if interpolated is not None:
        write_nifti(interpolated, _interpolated(task, job), task.quota)
    uncertainty_fields: dict[str, Any] = {}
    if uncertainty is not None:
        shown = task.folder / "view" / f"uncertainty_{NIFTI}"
        write_nifti(shown, uncertainty, task.quota)
        figures = json.loads(sidecar.read_text(encoding="utf-8"))["uncertainty"]
        uncertainty_fields = {
            "uncertainty": paths.beside(f"_uncertainty{paths.suffix}"),
            "uncertainty_nifti": shown,
            "uncertainty_p99": figures["p99"],
        }
    task.quota.check()
    return VolumeOutput(
        paths.volume,
        nifti,
        sidecar,
        grid_of(fine, scan),
        seconds,
        interpolated_nifti=interpolated,
        notes=(*warnings, *notes),
        **uncertainty_fields,
    )


def _interpolated(task: VolumeTask, job: ScanJob) -> Volume:
    """Cubic interpolation of the scan on the result's grid, for looking: what `medsr volume --model cubic` writes."""
    request = replace(task.request, model="cubic", method=replace(task.request.method, uncertainty=False))
    engine = slice_model("cubic", request.compute)
    context = replace(job.context, request=request, engine=engine, on_progress=lambda *_: None)
    with numbered_members():
        plain = ScanJob(job.paths, context)
        return plain.compute(plain.load()).refined.volume


def _hide_source(sidecar: Path, name: str) -> None:
    """Where files lay on the server is nobody's business, nor is the number of a patient's series."""
    summary = json.loads(sidecar.read_text(encoding="utf-8"))
    write_text(sidecar, json.dumps(summary | {"input_file": name, "series": None}, indent=2) + "\n")
