"""The jobs themselves, done in the child that computes: the same steps as `medsr upscale` and `medsr volume`."""

from __future__ import annotations

import json
import math
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from medsr.commands.serve.child import Tell
from medsr.commands.serve.inspect_upload import NIFTI, PIXELS, grid_of, write_nifti, write_pixels
from medsr.commands.serve.open_models import image_model, slice_model
from medsr.commands.serve.responses import Grid
from medsr.commands.serve.share import Share
from medsr.commands.upscale.models import DEFAULT_SCALE, Models
from medsr.commands.upscale.plans import plan as plan_images
from medsr.commands.upscale.run import How as ImageHow
from medsr.commands.upscale.run import Job as ImageJob
from medsr.commands.volume.files import plan as plan_scans
from medsr.commands.volume.job import Extras
from medsr.commands.volume.job import How as ScanHow
from medsr.commands.volume.job import Job as ScanJob
from medsr.core.errors import InputError
from medsr.data.pairs import alike
from medsr.engines.base import Compute
from medsr.images.network import Model, target_size
from medsr.io.dicom.files import numbered_members
from medsr.io.files import write_text
from medsr.io.images import image as image_io
from medsr.io.orientation import as_shown
from medsr.io.scans import Scan
from medsr.volumes.request import Request


@dataclass(frozen=True)
class ImageOrder:
    """Super-resolve `source` by `models` (names or weight files) into a folder each below `folder`, within `share`."""

    source: Path
    folder: Path
    models: tuple[str, ...]
    outscale: float | None
    ground_truth: Path | None
    compute: Compute
    most_pixels: float
    share: Share


@dataclass(frozen=True)
class MadeImage:
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
class VolumeOrder:
    """Refine `source` into `folder`, within `share`. `series`: the UID of one of several."""

    source: Path
    folder: Path
    request: Request
    series: str | None
    most_voxels: float
    share: Share


@dataclass(frozen=True)
class MadeVolume:
    """The refined scan's files."""

    path: Path
    nifti: Path
    sidecar: Path
    grid: Grid
    seconds: float
    uncertainty: Path | None = None
    uncertainty_nifti: Path | None = None
    uncertainty_p99: float | None = None
    notes: tuple[str, ...] = ()


def make_images(order: ImageOrder, tell: Tell) -> list[MadeImage]:
    """One result for each model. Baselines take the factor of the first network among them."""
    opened = [image_model(name, order.compute, None, True) for name in order.models]
    own = next((model.scale for model in opened if model.scale), DEFAULT_SCALE)
    made = []
    for index, model in enumerate(opened):
        scale = order.outscale or model.scale or own

        def update(done: float, text: str = "", index: int = index, model: Model = model) -> None:
            tell(index + done, len(opened), model.name)

        models = Models(order.models[index], order.compute, outscale=scale, opener=image_model)
        made.append(_make_image(order, index, scale, ImageHow(models, None, update)))
    return made


def _make_image(order: ImageOrder, index: int, scale: float, how: ImageHow) -> MadeImage:
    began = time.monotonic()
    how.update(0)
    [(source, target)] = plan_images([order.source], order.folder / str(index)).jobs
    job = ImageJob(source, target, 0, how)
    job.read()
    assert job.image is not None
    height, width = target_size(job.image.pixels, scale)
    if height * width > order.most_pixels:
        raise InputError(
            f"the result would have {height * width / 1e6:.0f} megapixels; this server makes at most "
            f"{order.most_pixels / 1e6:g}: choose a smaller factor, or cut the image"
        )
    order.share.check(2 * height * width * math.prod(job.image.pixels.shape[2:]) * job.image.pixels.itemsize)
    job.compute()
    notes = list(job.write())
    seconds = time.monotonic() - began
    written = image_io.read(target)  # what is shown is what is downloaded
    write_pixels(target.with_name(PIXELS), written, order.share)
    order.share.check()
    figures: dict[str, float] = {}
    if order.ground_truth is not None:
        figures, note = _measured(as_shown(written), order.ground_truth)
        notes += [note] if note else []
    shape: tuple[int, int, int] = written.pixels.shape  # type: ignore[assignment]
    return MadeImage(target, scale, shape, written.pixels.dtype.name, seconds, notes=tuple(notes), **figures)


def _measured(result: image_io.Image, ground_truth: Path) -> tuple[dict[str, float], str]:
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


def make_volume(order: VolumeOrder, tell: Tell) -> MadeVolume:
    """The refined scan, its sidecar and what the page shows of it."""
    began = time.monotonic()
    tell(0, 1, "reading the scan")
    said: list[str] = []
    engine = slice_model(order.request.model, order.request.compute)
    how = ScanHow(order.request, Extras(series=order.series), engine, said.append, None, tell)
    order.folder.mkdir(parents=True, exist_ok=True)
    scans = [Scan(order.source)]
    job = ScanJob(plan_scans(scans, order.folder, False, (), order.request.method.uncertainty)[0][0], how)
    with numbered_members():
        job.read()
    assert job.given is not None
    scan = job.given.scan
    fine = order.request.target(scan.grid)
    if (voxels := scan.volumes * fine[0] * fine[1] * fine[2]) > order.most_voxels:
        raise InputError(
            f"the result would have {voxels / 1e6:.0f} million voxels; this server makes at most "
            f"{order.most_voxels / 1e6:g} million: choose a coarser spacing"
        )
    files = 4 if order.request.method.uncertainty else 2
    order.share.check(files * voxels * scan.stored.itemsize)
    job.compute()
    assert job.result is not None
    refined, uncertainty, warnings = job.result.volume, job.result.uncertainty, job.result.warnings
    tell(1, 1, "writing")
    told = job.write()
    seconds = time.monotonic() - began
    at = job.at
    sidecar = at.beside(".json")
    _forget_places(sidecar, order.source.name)
    nifti = order.folder / "view" / NIFTI
    write_nifti(nifti, refined, order.share)
    spread: dict[str, Any] = {}
    if uncertainty is not None:
        shown = order.folder / "view" / f"uncertainty_{NIFTI}"
        write_nifti(shown, uncertainty, order.share)
        figures = json.loads(sidecar.read_text())["uncertainty"]
        spread = {
            "uncertainty": at.beside(f"_uncertainty{at.suffix}"),
            "uncertainty_nifti": shown,
            "uncertainty_p99": figures["p99"],
        }
    order.share.check()
    return MadeVolume(at.volume, nifti, sidecar, grid_of(fine, scan), seconds, notes=(*warnings, *told), **spread)


def _forget_places(sidecar: Path, name: str) -> None:
    """Where files lay on the server is nobody's business, nor is the number of a patient's series."""
    summary = json.loads(sidecar.read_text(encoding="utf-8"))
    write_text(sidecar, json.dumps(summary | {"input_file": name, "series": None}, indent=2) + "\n")
