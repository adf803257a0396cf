"""What is said about scans that were put together: warnings, and the sidecar's content."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medsr.core.geometry import Grid
from medsr.core.platform import peak_memory
from medsr.core.version import __version__
from medsr.io.volumes.base import Volume
from medsr.volumes import domain
from medsr.volumes.acquisition import Acquisition
from medsr.volumes.choose_model import ResolvedRequest
from medsr.volumes.models import weights_form
from medsr.volumes.stacks.joined import JoinedScan, JoinedStack, NamedVolume
from medsr.volumes.stacks.request import JoinRequest

DISAGREEMENT, LEAST_DISAGREEMENT = 4.0, 2.0
"""A scan whose residual is so many times its noise, and so many percent of the range, does not fit the others."""


def warnings_of(
    scans: Sequence[NamedVolume], resolved: Sequence[ResolvedRequest], covering: NDArray[np.uint8], grid: Grid
) -> list[str]:
    """Of what the model was not made for, each kind once, and of where the scans do not reach."""
    lines: dict[str, str] = {}
    for (name, volume), choice in zip(scans, resolved, strict=True):
        if not choice.fits:
            lines[name] = f"{name}: {choice.why}"
        coarse = volume.grid.shape
        i, j, k = (max(n, round(n * s / grid.spacing[0])) for n, s in zip(coarse, volume.grid.spacing, strict=True))
        acquisition = Acquisition(coarse, (i, j, k))
        doubts = domain.content_warnings(choice.engine, volume)
        if acquisition.refined:
            doubts += domain.domain_warnings(choice.engine, volume, (i, j, k), acquisition)
        for line in doubts:
            lines.setdefault(line.partition(";")[0], line)
    if nowhere := float((covering == 0).mean()):
        lines["nowhere"] = f"{100 * nowhere:.1f} % of the result lies in none of the scans: it is 0 there"
    if (alone := float((covering == 1).mean())) > 0.01:
        lines["alone"] = f"{100 * alone:.0f} % of the result lies in one scan alone: there it is as coarse as that is"
    return list(lines.values())


def disagreements(stacks: Sequence[JoinedStack]) -> list[str]:
    """A line for each scan that no volume explains: what the others say is not what it says."""
    return [
        f"{stack.name}: differs from the result by {stack.residual_after:.1f} % of the range, its noise is "
        f"{stack.noise:.1f} %. The scans do not fit exactly: look for streaks and bright dots"
        for stack in stacks
        if stack.residual_after > max(DISAGREEMENT * stack.noise, LEAST_DISAGREEMENT)
    ]


def summary_of(
    joined: JoinedScan,
    scans: Sequence[NamedVolume],
    resolved: ResolvedRequest,
    joining: JoinRequest,
    began: float,
) -> dict[str, Any]:
    """The sidecar's content, less what only files have. No name, date or other patient tag is in it."""
    engine = resolved.engine
    request = resolved.request
    parameters = request.parameters() | {
        "together": True,
        "consistency": request.method.consistency,  # interpolated scans are made to agree as well
        "registration": joining.registration,
        "matching": joining.match_intensities,
        "extent": joining.extent,
        "force": joining.force,
    }
    notes = [f"{name}: {note}" for name, volume in scans for note in volume.notes]
    return {
        "tool": "medsr",
        "version": __version__,
        "model": {"name": engine.name, "sha256": engine.sha256} | weights_form(engine.name),
        "parameters": parameters | engine.take_computed(),
        "inputs": [_grid(volume) for _, volume in scans],
        "output": _grid(joined.volume),
        "stacks": [stack.summary() for stack in joined.stacks],
        "warnings": [*notes, *joined.warnings],
        "seconds": round(time.monotonic() - began, 2),
        "peak_memory_bytes": peak_memory(),
    }


def _grid(volume: Volume) -> dict[str, Any]:
    return {
        "shape": list(volume.stored.shape),
        "spacing_mm": [round(step, 6) for step in volume.grid.spacing],
        "dtype": volume.stored.dtype.name,
    }
