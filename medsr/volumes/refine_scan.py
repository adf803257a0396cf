"""One scan, in memory: which grid, which planes, each volume through the network, the figures of the result."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medsr.core import memory
from medsr.core.errors import MemoryExhaustedError
from medsr.core.geometry import Shape
from medsr.core.platform import peak_memory
from medsr.core.types import Notify, OnProgress
from medsr.core.version import __version__
from medsr.io.volumes.base import Volume, slice_axis
from medsr.volumes import domain, labels
from medsr.volumes.acquisition import Acquisition
from medsr.volumes.back_projection import ResidualStats
from medsr.volumes.background import Background
from medsr.volumes.choose_model import ResolvedRequest
from medsr.volumes.interleaving import interleaving_warnings
from medsr.volumes.models import LoadedSliceModel, weights_form
from medsr.volumes.orientation import Canonical
from medsr.volumes.refine import Method, Refined, check_fusion, check_planes, planes_for, reduced, refine, slices_to_run
from medsr.volumes.request import Request
from medsr.volumes.slice_thickness import slice_thickness


@dataclass
class RefinedScan:
    """What became of a scan. `uncertainty`: float32, in the image's own units. `summary`: the sidecar's content."""

    volume: Volume
    uncertainty: Volume | None
    summary: dict[str, Any]
    warnings: list[str] = field(default_factory=list)
    inconsistency: NDArray[np.float32] | None = None
    """What acquiring the first refined volume again leaves unexplained: (coarse shape), in the image's own units."""


def refine_scan(
    volume: Volume,
    resolved: ResolvedRequest,
    on_progress: OnProgress = lambda *_: None,
    notify: Notify = lambda _: None,
) -> RefinedScan:
    """Super-resolve a scan, volume by volume, as was asked for, by what was chosen.

    `notify` hears, before anything is computed, how the slices were taken where they do not simply reach to the next.
    Geometry: the refined voxels fill the same box. Values: those of the stored dtype, through its scaling. Raises
    UsageError for what cannot be done, MemoryExhaustedError before beginning what would not fit.
    """
    began = time.monotonic()
    request, engine = resolved.request, resolved.engine
    turn = Canonical(volume)
    fine = request.target(volume.grid)
    thickness = slice_thickness(volume, request.thickness)
    acquisition = _acquisition(volume, fine, request, turn, thickness.width)
    _check_memory(volume, fine, request.method)
    if request.kind == "labels" or (request.kind == "auto" and labels.is_labels(volume)):
        warnings = ["a label map: resampled by nearest neighbour, not super-resolved"]
        if request.method.uncertainty or request.adapt is not None:
            warnings = [f"{warnings[0]}; `uncertainty` and `adapt` do not apply"]
        refined = volume.refined(labels.nearest(volume.stored, fine))
        if request.kind == "labels":
            warnings = [] if resolved.fits else [resolved.why]
        return RefinedScan(refined, None, _summary(volume, refined, request, None, (), began, warnings), warnings)
    if fine == volume.grid.shape:  # written anew, every voxel as it is
        same = volume.refined(volume.stored.copy(order="K"))
        return RefinedScan(same, None, _summary(volume, same, request, engine, (), began, []), [])
    check_planes(request.method.planes, acquisition)
    if engine.model is not None:
        check_fusion(request.method, acquisition)
    warnings = ([] if resolved.fits else [resolved.why]) + domain.domain_warnings(engine, volume, fine, acquisition)
    warnings += domain.content_warnings(engine, volume)
    if acquisition.across in acquisition.refined:
        warnings += [*thickness.notes, *interleaving_warnings(volume)]
        if thickness.words:
            notify(thickness.words)
    warnings += domain.fusion_warnings(engine, request.method.fuse)
    noise = None if request.noise is None else request.noise / abs(volume.slope)
    method = replace(request.method, width=acquisition.width, through=acquisition.through, noise=noise)
    if request.adapt is not None:
        engine, lines = _adapted(engine, volume, turn, acquisition, request.adapt, method.noise, on_progress)
        warnings += lines
    stored = np.empty((*fine, *volume.stored.shape[3:]), volume.stored.dtype, order="F")
    spread = np.empty(stored.shape, np.float32, order="F") if method.uncertainty else None
    planes = planes_for(acquisition, method) if engine.model is not None else ()
    total = slices_to_run(acquisition, method) * volume.volumes
    done = 0
    parts: list[Refined] = []
    none = np.empty(0, np.float32)

    def on_slices(count: int) -> None:
        nonlocal done
        done += count
        on_progress(done, total, "slices")

    for index in range(volume.volumes):
        background, target = Background(volume, turn, index), turn.view(stored, index)
        result = refine(background.filled(), acquisition.fine, engine.model, method, on_slices, target)
        background.restore(target)
        if spread is not None and result.spread is not None:
            background.silence(result.spread)
            turn.view(spread, index)[...] = result.spread
        difference = result.difference if index == 0 else none
        parts.append(replace(result, stored=np.empty(0), spread=None, difference=difference))
    refined = volume.refined(stored)
    uncertainty = None
    if spread is not None:
        spread *= np.float32(abs(volume.slope))
        uncertainty = replace(refined, stored=spread, slope=1.0, intercept=0.0)
    figures = _consistency(parts, volume.slope)
    summary = _summary(volume, refined, request, engine, planes, began, warnings) | {
        "consistency": figures,
        "clipped_voxels": sum(part.clipped for part in parts),
        "acquisition": thickness.summary(),
    }
    if resolved.why:
        summary["chosen"] = resolved.why
    if spread is not None:
        summary["uncertainty"] = _spread_figures(spread)
    inconsistency = turn.back(parts[0].difference * np.float32(volume.slope))
    return RefinedScan(refined, uncertainty, summary, warnings, inconsistency)


def _acquisition(volume: Volume, fine: Shape, request: Request, turn: Canonical, width: float) -> Acquisition:
    """How the scan sees the refined volume: a profile as wide as its slices are thick, across them alone."""
    coarse = volume.grid.shape
    observed: Shape = tuple(min(c, f) for c, f in zip(coarse, fine, strict=True))  # type: ignore[assignment]
    across = turn.order[slice_axis(volume)]
    return Acquisition(turn.shape(observed), turn.shape(fine), request.method.profile, width, across)


def _adapted(
    engine: LoadedSliceModel,
    volume: Volume,
    turn: Canonical,
    acquisition: Acquisition,
    minutes: float,
    noise: float | None,
    on_progress: OnProgress,
) -> tuple[LoadedSliceModel, list[str]]:
    """The engine after learning from the scan's own slices, and what to say about it."""
    from medsr.volumes.adapt import adapt_model

    def report_progress(share: float, text: str) -> None:
        on_progress(60 * minutes * share, 60 * minutes, f"seconds of adapting  {text}")

    first = reduced(Background(volume, turn, 0).filled(), acquisition.fine)
    learned, result = adapt_model(engine, first, acquisition, minutes, report_progress, noise)
    change = f"{result.before:.4f} to {result.after:.4f} after {result.iterations} iterations"
    if not result.kept:
        verdict = f"adapting did not help (error on the scan's own held-out slices {change}): not used"
    else:
        verdict = f"adapted: error on the scan's own held-out slices {change}"
    return learned, [verdict]


def _check_memory(volume: Volume, fine: Shape, method: Method) -> None:
    """Refuse what would not fit, before anything is computed."""
    voxels = float(np.prod(fine))
    buffers = (1 if method.fuse == "mean" else 2) + (2 if method.uncertainty else 0) + 0.5
    per_volume = volume.stored.dtype.itemsize + (4 if method.uncertainty else 0)
    needed = voxels * (4 * buffers + per_volume * (1 + volume.volumes))
    free = memory.free()
    if needed > free:
        dims = " x ".join(map(str, fine))
        raise MemoryExhaustedError(
            f"the refined scan of {dims} voxels needs about {needed / 1e9:.1f} GB, {free / 1e9:.1f} GB are free; "
            "ask for a coarser `spacing`"
        )


def _consistency(parts: list[Refined], slope: float) -> dict[str, Any]:
    """How far the result, acquired again, is from the scan: over all its volumes, in the image's own units.

    And what the noise of the scan allows: `noise_gain` is how many times stronger it comes out of the spline that
    agrees with the scan, `exact_noise_gain` of one that would agree exactly.
    """
    height = max(part.window.high - part.window.low for part in parts if part.window) * abs(slope)

    noise = (sum(part.noise**2 for part in parts) / len(parts)) ** 0.5 * abs(slope)

    def figures(all_stats: list[ResidualStats]) -> dict[str, float]:
        rms = (sum(stats.rms**2 for stats in all_stats) / len(all_stats)) ** 0.5 * abs(slope)
        largest = max(stats.largest for stats in all_stats) * abs(slope)
        return {"rms": rms, "max": largest, "rms_percent_of_range": 100 * rms / height}

    return {
        "unit": "the image's own",
        "range": height,
        "before": figures([part.before for part in parts]),
        "after": figures([part.after for part in parts]),
        "noise": {"rms": noise, "rms_percent_of_range": 100 * noise / height},
        "noise_gain": max(part.gain for part in parts),
        "exact_noise_gain": max(part.exact_gain for part in parts),
    }


def _spread_figures(spread: NDArray[np.float32]) -> dict[str, float]:
    sample = spread.ravel(order="K")[:: max(1, spread.size // 1_000_000)]
    return {"mean": float(sample.mean()), "p99": float(np.percentile(sample, 99)), "max": float(spread.max())}


def _summary(
    volume: Volume,
    refined: Volume,
    request: Request,
    engine: LoadedSliceModel | None,
    planes: tuple[str, ...],
    began: float,
    warnings: list[str],
) -> dict[str, Any]:
    """The sidecar's content, less what only files have. No name, date or other patient tag is in it."""
    model: dict[str, Any] = {"name": "nearest", "sha256": None}
    if engine:
        model = {"name": engine.name, "sha256": engine.sha256} | weights_form(engine.name)
    return {
        "tool": "medsr",
        "version": __version__,
        "model": model,
        "parameters": request.parameters() | (engine.take_computed() if engine else {}),
        "planes": list(planes),
        "input": _grid(volume),
        "output": _grid(refined),
        "warnings": [*volume.notes, *warnings],
        "seconds": round(time.monotonic() - began, 2),
        "peak_memory_bytes": peak_memory(),
    }


def _grid(volume: Volume) -> dict[str, Any]:
    return {
        "shape": list(volume.stored.shape),
        "spacing_mm": [round(step, 6) for step in volume.grid.spacing],
        "dtype": volume.stored.dtype.name,
    }
