"""What is known of each result, and which of them are unlike the others."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from pydantic import BaseModel, Field

from medsr.batch.status import StatusRow, pictures_in
from medsr.commands.cohort.plan import Plan, Unit
from medsr.commands.volume.files import Target
from medsr.core.text import shown
from medsr.io.files import read_text

UNLIKE = 3.5
"""Robust distances from the median from which a figure counts as an outlier (Iglewicz and Hoaglin 1993)."""
LABELS = {
    "seconds": "seconds",
    "unexplained": "before back-projection, % of range",
    "clipped": "clipped voxels",
    "uncertainty": "uncertainty, mean",
    "range": "range of values",
    "voxels": "voxels of the result (millions)",
    "spacing": "finest spacing (mm)",
}


Finite = Annotated[float, Field(allow_inf_nan=False)]


class _Rest(BaseModel):
    rms_percent_of_range: Finite


class _Consistency(BaseModel):
    before: _Rest
    range: Finite


class _Uncertainty(BaseModel):
    mean: Finite


class _Grid(BaseModel):
    shape: Annotated[list[Annotated[int, Field(ge=1, le=1 << 24)]], Field(min_length=3, max_length=4)]
    spacing_mm: Annotated[list[Finite], Field(min_length=3, max_length=3)]


class Summary(BaseModel):
    """What a cohort's page shows of a scan's sidecar."""

    consistency: _Consistency | None = None
    uncertainty: _Uncertainty | None = None
    output: _Grid | None = None
    clipped_voxels: Annotated[int, Field(ge=0, le=1 << 60)] = 0
    warnings: list[str] = []


@dataclass
class Subject:
    """One done input. `outlying`: how far its most unusual figure is from the median, and which that is."""

    name: str
    row: StatusRow
    values: dict[str, float]
    notes: list[str]
    picture: Path | None
    outlying: float = 0.0
    why: str = ""
    unlike: dict[str, float] = field(default_factory=dict)


def subjects(plan: Plan, rows: list[StatusRow]) -> list[Subject]:
    """Those that are done, the most unlike first."""
    images = pictures_in(plan.out) if plan.command == "upscale" else {}
    units = {shown(unit.target): unit for unit in plan.units}
    found = [_subject(plan, units[row.output], row, images) for row in rows]
    for key in LABELS:
        _measure(found, key)
    return sorted(found, key=lambda one: (-one.outlying, one.name))


def _subject(plan: Plan, unit: Unit, row: StatusRow, images: Mapping[str, Any]) -> Subject:
    """`images`: what `upscale.json` tells of each."""
    output = Path(unit.target)
    name = str(output.relative_to(plan.out)) if output.is_relative_to(plan.out) else output.name
    values = {"seconds": seconds} if (seconds := _number(row.seconds)) is not None else {}
    if plan.command == "upscale":
        notes = images.get(name, {}).get("notes")
        warnings = [note for note in notes if str(note).startswith("warning")] if isinstance(notes, list) else []
        return Subject(name, row, values, warnings, output)
    target = Target(Path(unit.source), output, bool(plan.options.get("dicom")))
    summary = _summary(target.beside(".json"))
    if summary.consistency:
        values["unexplained"] = summary.consistency.before.rms_percent_of_range
        values["range"] = summary.consistency.range
        values["clipped"] = float(summary.clipped_voxels)
    if summary.uncertainty:
        values["uncertainty"] = summary.uncertainty.mean
    if summary.output:
        values["voxels"] = math.prod(summary.output.shape) / 1e6
        values["spacing"] = min(summary.output.spacing_mm)
    picture = target.beside("_preview.png")
    return Subject(name, row, values, list(summary.warnings), picture if picture.is_file() else None)


def _number(text: str) -> float | None:
    """The seconds of a row; None where there are none."""
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _summary(path: Path) -> Summary:
    """What a scan's sidecar says; nothing where it is absent or damaged."""
    try:
        return Summary.model_validate_json(read_text(path))
    except (OSError, ValueError):
        return Summary()


def _measure(found: list[Subject], key: str) -> None:
    """Modified z-scores: 0.6745 (x - median) / MAD. Where most are equal, the mean absolute deviation stands in."""
    having = [one for one in found if key in one.values]
    if len(having) < 5:
        return  # too few to say what is usual
    values = np.array([one.values[key] for one in having])
    away = np.abs(values - np.median(values))
    spread = float(np.median(away)) / 0.6745 or float(away.mean()) * 1.2533
    if not spread:
        return
    for one, distance in zip(having, away / spread, strict=True):
        if distance > UNLIKE:
            one.unlike[key] = float(distance)
        if distance > one.outlying:
            one.outlying, one.why = float(distance), key
