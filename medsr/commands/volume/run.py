"""`medsr volume`: scans in, refined scans out, each with its sidecar and picture."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from medsr.batch import pipeline
from medsr.batch.outcome import Outcome
from medsr.batch.status import Status
from medsr.commands.volume import memory
from medsr.commands.volume.files import plan
from medsr.commands.volume.job import Extras, How, Job, Say
from medsr.core.errors import UsageError
from medsr.core.geometry import parse_planes
from medsr.engines.base import Compute
from medsr.io.scans import expand
from medsr.io.volumes import volume as volume_io
from medsr.networks.bundled import AUTO
from medsr.volumes.models import SliceEngine, open_slice_model
from medsr.volumes.refine import Method
from medsr.volumes.request import Request


def volume(
    scans: Any,
    out: str | Path | None = None,
    *,
    affine: NDArray | str | None = None,
    input_spacing: Sequence[float] | None = None,
    model: str | Path = AUTO,
    isotropic: bool = False,
    scale: float | None = None,
    spacing: float | Sequence[float] | None = None,
    planes: str = "auto",
    fuse: Any = "mean",
    consistency: bool = True,
    profile: Any = "box",
    thickness: float | None = None,
    noise: float | None = None,
    uncertainty: bool = False,
    adapt: float | None = None,
    kind: Any = "auto",
    also: Sequence[str | Path] = (),
    series: str | None = None,
    dicom: bool = False,
    report: bool = False,
    device: str = "auto",
    engine: str = "auto",
    precision: str = "fp32",
    max_gpu_memory: float | None = None,
    compiled: bool = False,
    skip_done: bool = False,
    keep_metadata: bool = False,
    on_outcome: Callable[[Outcome], None] = lambda _: None,
    say: Say = lambda _: None,
) -> Any:
    """Super-resolve 3D scans: files, folders of DICOM slices, or one volume in memory.

    Files: `scans` is a path or several, `out` a file or folder; returns a list of Outcome, one for each scan, failed
    ones with their error. In memory: `scans` is a nibabel image, a SimpleITK image, or an array (i, j, k[, t]) with
    its `affine` (4, 4); `out` is left out; returns a `scan.memory.Result` whose `image` is of the same type.

    At most one of `isotropic`, `scale` (every axis) and `spacing` (mm, one number or three in the array's order) says
    what finer means; without any, coarser axes are brought to the finest, or an isotropic scan to scale 2. `model`:
    `auto` (the bundled one for MRI, cubic for what is known to be something else, and says so), `cubic`,
    `back-projected`, `scratch` (with `adapt`), a known name or a weight file. `planes`: auto, all, or names with
    commas.
    `fuse`: mean, median, weighted, learned, or the file of a fusion network. `profile` (box or gaussian) and
    `thickness` (mm) say how slices were acquired. `noise`: its standard deviation in the image's
    units, where it is known; 0 asks for exact agreement, whatever that does to noise; None: measured.
    `affine` of files and nibabel images: `sform` or `qform`, whichever is right where a NIfTI header's two disagree.
    `input_spacing`: mm along each of the three axes, used where a header states no voxel spacing.
    `adapt`: minutes of learning from the scan itself. `kind`: auto, image or labels. With a folder as `out`, its
    status.tsv says what became of every scan; with `skip_done` what it calls done, and is still as it was, is not done
    again. `keep_metadata`: results also get the texts of the scan's header, which may name a person or a place.

    Raises UsageError or WeightsError when nothing can be begun; in memory also InputError for a bad volume.
    """
    request, extras = asked(
        model=model,
        isotropic=isotropic,
        scale=scale,
        spacing=spacing,
        planes=planes,
        fuse=fuse,
        consistency=consistency,
        profile=profile,
        thickness=thickness,
        noise=noise,
        uncertainty=uncertainty,
        adapt=adapt,
        kind=kind,
        also=also,
        series=series,
        dicom=dicom,
        report=report,
        affine=affine if affine is None or isinstance(affine, str) else None,
        input_spacing=input_spacing,
        compute=Compute(device, engine, precision, max_gpu_memory, compiled),
        keep_metadata=keep_metadata,
    )
    if memory.is_image(scans):
        if out is not None or extras != Extras():
            raise UsageError("a volume in memory has no files: leave out, also, series, dicom and report away")
        return memory.refine_image(scans, affine, request, open_for(request))
    if affine is not None and not isinstance(affine, str):
        raise UsageError("affine: a matrix goes with an array; for files it is sform or qform")
    if out is None or not str(out):
        raise UsageError("--out: expected a file or a folder")
    paths: list[str | Path] = [str(scans)] if isinstance(scans, str | os.PathLike) else list(scans)
    found = expand(paths, Path(out), series)
    if extras.also and len(found.scans) > 1:
        raise UsageError(f"--also goes with one scan, not with {len(found.scans)}")
    if note := found.note():
        say(note)
    targets, clashes = plan(found.scans, Path(out), dicom, extras.also, uncertainty)
    refused = [Outcome(scan, scan, 0.0, UsageError(reason)) for scan, reason in clashes]
    opened = open_for(request)
    known = settings_of(request, extras, opened)
    if targets[0].volume == Path(out):
        if skip_done:
            raise UsageError("--skip-done: --out names one file; give a folder")
        return pipeline.run([Job(targets[0], How(request, extras, opened, say))], on_outcome)
    with Status(Path(out), known, volume_io.digest) as status:
        for outcome in refused:
            on_outcome(outcome)
            status.record(outcome)
        how = How(request, extras, opened, say, status if skip_done else None)
        return refused + pipeline.run([Job(target, how) for target in targets], on_outcome, status.record)


def asked(
    *,
    model: str | Path,
    isotropic: bool,
    scale: float | None,
    spacing: float | Sequence[float] | None,
    planes: str,
    fuse: Any,
    consistency: bool,
    profile: Any,
    thickness: float | None,
    uncertainty: bool,
    adapt: float | None,
    kind: Any,
    also: Sequence[str | Path],
    series: str | None,
    dicom: bool,
    report: bool,
    affine: Any,
    input_spacing: Sequence[float] | None,
    compute: Compute,
    noise: float | None = None,
    keep_metadata: bool = False,
) -> tuple[Request, Extras]:
    """What `volume` is asked for, as values. Raises UsageError."""
    method = Method(parse_planes(planes), fuse, consistency, profile, 1.0, uncertainty)
    if affine is not None and not isinstance(affine, str):
        raise UsageError("affine: expected sform or qform")
    form: Any = affine
    stated: Any = None if input_spacing is None else tuple(map(float, input_spacing))
    request = Request(
        str(model), isotropic, scale, _steps(spacing), method, thickness, kind, adapt, compute, form, stated, noise
    )
    request = replace(request, keep_metadata=keep_metadata)
    companions = [also] if isinstance(also, str | os.PathLike) else also
    if any(not str(one) for one in companions):
        raise UsageError("--also: expected a file, got nothing")
    return request, Extras(tuple(Path(one) for one in companions), series, dicom, report)


def settings_of(request: Request, extras: Extras, opened: SliceEngine) -> dict[str, Any]:
    """Everything but the scan that decides a result: for status.tsv."""
    known = {"weights": opened.sha256, "request": request.parameters() | opened.computed(), "extras": asdict(extras)}
    return known | ({"model": AUTO} if request.model == AUTO else {})


def _steps(spacing: float | Sequence[float] | None) -> tuple[float, ...] | None:
    if spacing is None:
        return None
    return tuple(map(float, spacing if isinstance(spacing, Sequence) else (spacing,)))


def open_for(request: Request) -> SliceEngine:
    """What refines: in torch where it is to learn."""
    compute = replace(request.compute, engine="torch") if request.adapt is not None else request.compute
    return open_slice_model(request.model, compute)
