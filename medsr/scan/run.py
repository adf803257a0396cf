"""`medsr volume`: scans in, refined scans out, each with its sidecar and picture."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medsr.engines.base import Compute
from medsr.errors import InputError, UsageError
from medsr.geometry import Grid, parse_planes
from medsr.infer.models import SliceEngine, open_slice_model
from medsr.infer.volume import Method
from medsr.io import volume as volume_io
from medsr.io.files import write_text
from medsr.io.volume_base import Volume
from medsr.outcome import Outcome, attempt
from medsr.progress import Update, progress
from medsr.scan import labels, memory, preview, report
from medsr.scan.files import Target, plan
from medsr.scan.pictures import Pictures
from medsr.scan.refine import OnProgress, refine_scan
from medsr.scan.request import DEFAULT_MODEL, Request
from medsr.status import Status

Say = Callable[[str], None]


@dataclass(frozen=True)
class Extras:
    """What else to read and write: companions, a DICOM series, a report."""

    also: tuple[Path, ...] = ()
    series: str | None = None
    dicom: bool = False
    report: bool = False


def volume(
    scans: Any,
    out: str | Path | None = None,
    *,
    affine: NDArray | None = None,
    model: str | Path = DEFAULT_MODEL,
    isotropic: bool = False,
    scale: float | None = None,
    spacing: float | Sequence[float] | None = None,
    planes: str = "auto",
    fuse: Any = "mean",
    consistency: bool = True,
    profile: Any = "box",
    thickness: float | None = None,
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
    on_outcome: Callable[[Outcome], None] = lambda _: None,
    say: Say = lambda _: None,
) -> Any:
    """Super-resolve 3D scans: files, folders of DICOM slices, or one volume in memory.

    Files: `scans` is a path or several, `out` a file or folder; returns a list of Outcome, one for each scan, failed
    ones with their error. In memory: `scans` is a nibabel image, a SimpleITK image, or an array (i, j, k[, t]) with
    its `affine` (4, 4); `out` is left out; returns a `scan.memory.Result` whose `image` is of the same type.

    At most one of `isotropic`, `scale` (every axis) and `spacing` (mm, one number or three in the array's order) says
    what finer means; without any, coarser axes are brought to the finest, or an isotropic scan to scale 2. `model`:
    `cubic`, `scratch` (with `adapt`), a known name or a weight file. `planes`: auto, all, or names with commas.
    `fuse`: mean, median or weighted. `profile` (box or gaussian) and `thickness` (mm) say how slices were acquired.
    `adapt`: minutes of learning from the scan itself. `kind`: auto, image or labels. With a folder as `out`, its
    status.tsv says what became of every scan; with `skip_done` what it calls done, and is still as it was, is not done
    again.

    Raises UsageError or WeightsError when nothing can be begun; in memory also InputError for a bad volume.
    """
    steps = spacing if spacing is None or isinstance(spacing, Sequence) else (spacing,)
    request = Request(
        str(model),
        isotropic,
        scale,
        None if steps is None else tuple(float(step) for step in steps),
        Method(parse_planes(planes), fuse, consistency, profile, 1.0, uncertainty),
        thickness,
        kind,
        adapt,
        Compute(device, engine, precision, max_gpu_memory, compiled),
    )
    companions = [also] if isinstance(also, str | os.PathLike) else also
    if any(not str(one) for one in companions):
        raise UsageError("--also: expected a file, got nothing")
    extras = Extras(tuple(Path(one) for one in companions), series, dicom, report)
    if memory.is_image(scans):
        if out is not None or extras != Extras():
            raise UsageError("a volume in memory has no files: leave out, also, series, dicom and report away")
        return memory.refine_image(scans, affine, request, _open(request))
    if out is None or not str(out):
        raise UsageError("--out: expected a file or a folder")
    paths: list[str | Path] = [str(scans)] if isinstance(scans, str | os.PathLike) else list(scans)
    found = volume_io.expand(paths)
    if extras.also and len(found) > 1:
        raise UsageError(f"--also goes with one scan, not with {len(found)}")
    targets = plan(found, Path(out), dicom, extras.also, uncertainty)
    opened = _open(request)
    known = {"weights": opened.sha256, "request": request.parameters() | opened.computed(), "extras": asdict(extras)}
    if targets[0].volume == Path(out):
        if skip_done:
            raise UsageError("--skip-done: --out names one file; give a folder")
        outcome = attempt(targets[0].scan, targets[0].volume, partial(_one, targets[0], request, extras, opened, say))
        on_outcome(outcome)
        return [outcome]
    outcomes = []
    with Status(Path(out), known, volume_io.digest) as status:
        for target in targets:
            if skip_done and status.is_done(target.scan, target.volume):
                outcome = Outcome(target.scan, target.volume, 0.0, skipped=True)
            else:
                outcome = attempt(target.scan, target.volume, partial(_one, target, request, extras, opened, say))
            status.record(outcome)
            outcomes.append(outcome)
            on_outcome(outcome)
    return outcomes


def _open(request: Request) -> SliceEngine:
    """What refines: in torch where it is to learn."""
    compute = replace(request.compute, engine="torch") if request.adapt is not None else request.compute
    return open_slice_model(request.model, compute)


def _one(target: Target, request: Request, extras: Extras, engine: SliceEngine, say: Say) -> tuple[str, ...]:
    """One scan, from its file to everything written beside its result. Returns what the user should know."""
    began = time.monotonic()
    source = volume_io.read(target.scan, extras.series)
    companions = [(path, volume_io.read(path)) for path in extras.also]
    _check(target, source, companions, extras)
    fine = request.target(source.grid)
    say(f"{target.scan.name}: {_text(source.grid)} to {_text(source.grid.on(fine))}")
    for note in source.notes:
        say(f"note: {note}")
    digest = volume_io.digest(target.scan)
    with _Progress(target.scan.name) as on_progress:
        result = refine_scan(source, request, engine, on_progress)
    for warning in result.warnings:
        say(f"warning: {warning}")
    refined = result.volume
    if extras.dicom:
        from medsr.io.dicom_write import write_series

        write_series(target.volume, refined, f"Super-resolved through its planes ({engine.name})")
    else:
        volume_io.write(target.volume, refined)
    if result.uncertainty is not None:
        volume_io.write(target.beside(f"_uncertainty{target.suffix}"), result.uncertainty)
    for path, companion in companions:
        moved, how = _brought(companion, source, refined.grid)
        volume_io.write(target.companion(path), moved)
        say(f"{path.name}: {how}, {target.companion(path)}")
    engine_name = result.summary["model"]["name"]
    spread = result.uncertainty.stored if result.uncertainty is not None else None
    pictures = Pictures(source, refined, spread, result.inconsistency, engine_name == "nearest")
    preview.write(target.beside("_preview.png"), pictures, engine_name)
    summary = result.summary | {"input_sha256": digest, "seconds": round(time.monotonic() - began, 2)}
    summary |= {
        "input_file": os.path.relpath(target.scan, target.volume.parent),
        "output_file": target.volume.name,
        "series": extras.series,
        "also": [os.path.relpath(path, target.volume.parent) for path in extras.also],
    }
    if extras.report:
        report.write(target.beside("_report.html"), pictures, summary)
    write_text(target.beside(".json"), json.dumps(summary, indent=2) + "\n")
    return _told(summary)


def _brought(companion: Volume, scan: Volume, grid: Grid) -> tuple[Volume, str]:
    """A companion on the scan's new grid, and how it came there."""
    is_labels = labels.is_label_map(companion.stored)
    how = "labels, nearest neighbour" if is_labels else "image, cubic B-spline"
    same = companion.grid.shape == scan.grid.shape and np.allclose(companion.affine, scan.affine, atol=1e-3)
    if is_labels and same:
        return companion.refined(labels.nearest(companion.stored, grid.shape)), how
    stored = companion.stored.reshape(companion.grid.shape)
    if companion.intercept:
        stored = stored * np.float32(companion.slope) + np.float32(companion.intercept)
        companion = replace(companion, slope=1.0, intercept=0.0)  # what lies outside it means 0
    moved = labels.onto(stored, companion.affine, grid, is_labels)
    return Volume(moved, grid.affine, "", companion.slope, companion.intercept), how


def _check(target: Target, source: Volume, companions: list[tuple[Path, Volume]], extras: Extras) -> None:
    """Refuse now what could not be written after hours of work."""
    for path, companion in companions:
        same = companion.grid.shape == source.grid.shape and np.allclose(companion.affine, source.affine, atol=1e-3)
        if companion.volumes > 1 and not (same and labels.is_label_map(companion.stored)):
            raise InputError(f"{path}: --also takes 3D volumes, this has {companion.volumes} time points")
        volume_io.check_writable(target.companion(path), replace(companion, affine=source.affine))
    if not extras.dicom:
        volume_io.check_writable(target.volume, source)
        return
    from medsr.io.dicom_write import check

    check(target.volume, source)


def _told(summary: dict[str, Any]) -> tuple[str, ...]:
    """The figures in words, for the terminal."""
    figures = summary.get("consistency")
    if not figures:
        return ()
    before, after = figures["before"], figures["after"]
    told = f"rms {after['rms']:.3g}, largest {after['max']:.3g}"
    if summary["parameters"]["consistency"]:
        told += f"; {before['rms_percent_of_range']:.3f} % before back-projection and rounding"
    lines = [f"acquired again, it is the scan to {after['rms_percent_of_range']:.3f} % of its range ({told})"]
    if clipped := summary.get("clipped_voxels"):
        lines.append(f"{clipped} voxels were clipped to what {summary['output']['dtype']} can hold")
    if spread := summary.get("uncertainty"):
        lines.append(f"spread over planes and flips: {spread['mean']:.3g} on average, 99 % below {spread['p99']:.3g}")
    return tuple(lines)


class _Progress:
    """A bar for each thing that is done: adapting, then slices."""

    def __init__(self, name: str) -> None:
        self.name, self.total = name, -1.0
        self.shown: AbstractContextManager[Update] | None = None
        self.update: Update

    def __enter__(self) -> OnProgress:
        return self._update

    def _update(self, done: float, total: float, text: str) -> None:
        if total != self.total:
            self.__exit__()
            self.shown, self.total = progress(self.name, total), total
            self.update = self.shown.__enter__()
        self.update(done, text)

    def __exit__(self, *_: object) -> None:
        if self.shown is not None:
            self.shown.__exit__(None, None, None)
            self.shown = None


def _text(grid: Grid) -> str:
    return f"{' x '.join(map(str, grid.shape))} at {' x '.join(f'{step:.4g}' for step in grid.spacing)} mm"
