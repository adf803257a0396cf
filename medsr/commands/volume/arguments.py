"""The arguments of `medsr volume` as values: what is asked for, what it decides, what computes it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from medsr.commands.volume.job import OutputOptions
from medsr.core.errors import UsageError
from medsr.core.geometry import parse_planes
from medsr.engines.base import Compute
from medsr.networks.bundled import AUTO
from medsr.volumes.models import LoadedSliceModel, open_slice_model
from medsr.volumes.refine import Method
from medsr.volumes.request import Request


def build_request(
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
    series: str | Sequence[str] | None,
    dicom: bool,
    report: bool,
    affine: Any,
    input_spacing: Sequence[float] | None,
    compute: Compute,
    noise: float | None = None,
    keep_metadata: bool = False,
) -> tuple[Request, OutputOptions]:
    """The arguments of `volume` as values. Raises UsageError."""
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
    if any(not str(path) for path in companions):
        raise UsageError("`also`: expected a file, got nothing")
    return request, OutputOptions(tuple(Path(path) for path in companions), _only(series), dicom, report)


def named_series(series: str | Sequence[str] | None) -> list[str]:
    """None, one or several names of series, as a list."""
    return [series] if isinstance(series, str) else list(series or ())


def _only(series: str | Sequence[str] | None) -> str | None:
    named = named_series(series)
    if len(named) > 1:
        raise UsageError(f"`series`: one series makes one result, {len(named)} are named; name one, or say `together`")
    return named[0] if named else None


def settings_of(request: Request, options: OutputOptions, opened: LoadedSliceModel) -> dict[str, Any]:
    """Everything but the scan that decides a result: for status.tsv."""
    settings = {
        "weights": opened.sha256,
        "request": request.parameters() | opened.computed(),
        "extras": asdict(options),
    }
    return settings | ({"model": AUTO} if request.model == AUTO else {})


def _steps(spacing: float | Sequence[float] | None) -> tuple[float, ...] | None:
    if spacing is None:
        return None
    return tuple(map(float, spacing if isinstance(spacing, Sequence) else (spacing,)))


def open_for(request: Request) -> LoadedSliceModel:
    """What refines: in torch where it is to learn."""
    compute = replace(request.compute, engine="torch") if request.adapt is not None else request.compute
    return open_slice_model(request.model, compute)
