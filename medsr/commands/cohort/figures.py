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
from medsr.commands.cohort.plan import CohortItem, CohortPlan
from medsr.commands.volume.files import Target
from medsr.core.text import shown
from medsr.io.files import read_text

OUTLIER_DISTANCE = 3.5
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


class _Residual(BaseModel):
    rms_percent_of_range: Finite


class _Consistency(BaseModel):
    before: _Residual
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
    """One done input. `outlier_score`: how far its most unusual figure is from the median; `outlier_figure`: which."""

    name: str
    row: StatusRow
    values: dict[str, float]
    notes: list[str]
    picture: Path | None
    outlier_score: float = 0.0
    outlier_figure: str = ""
    outliers: dict[str, float] = field(default_factory=dict)


def load_subjects(plan: CohortPlan, rows: list[StatusRow]) -> list[Subject]:
    """Those that are done, the most unlike first."""
    images = pictures_in(plan.out) if plan.command == "upscale" else {}
    items = {shown(item.target): item for item in plan.items}
    subjects = [_load_subject(plan, items[row.output], row, images) for row in rows]
    for key in LABELS:
        _mark_outliers(subjects, key)
    return sorted(subjects, key=lambda subject: (-subject.outlier_score, subject.name))


def _load_subject(plan: CohortPlan, item: CohortItem, row: StatusRow, images: Mapping[str, Any]) -> Subject:
    """`images`: what `upscale.json` tells of each."""
    output = Path(item.target)
    name = str(output.relative_to(plan.out)) if output.is_relative_to(plan.out) else output.name
    values = {"seconds": seconds} if (seconds := _number(row.seconds)) is not None else {}
    if plan.command == "upscale":
        notes = images.get(name, {}).get("notes")
        warnings = [note for note in notes if str(note).startswith("warning")] if isinstance(notes, list) else []
        return Subject(name, row, values, warnings, output)
    target = Target(Path(item.source), output, bool(plan.options.get("dicom")))
    summary = _read_summary(target.beside(".json"))
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


def _read_summary(path: Path) -> Summary:
    """What a scan's sidecar says; nothing where it is absent or damaged."""
    try:
        return Summary.model_validate_json(read_text(path))
    except (OSError, ValueError):
        return Summary()


def _mark_outliers(subjects: list[Subject], key: str) -> None:
    """Modified z-scores: 0.6745 (x - median) / MAD. Where most are equal, the mean absolute deviation stands in."""
    measured = [subject for subject in subjects if key in subject.values]
    if len(measured) < 5:
        return  # too few to say what is usual
    values = np.array([subject.values[key] for subject in measured])
    distances = np.abs(values - np.median(values))
    scale = float(np.median(distances)) / 0.6745 or float(distances.mean()) * 1.2533
    if not scale:
        return
    for subject, distance in zip(measured, distances / scale, strict=True):
        if distance > OUTLIER_DISTANCE:
            subject.outliers[key] = float(distance)
        if distance > subject.outlier_score:
            subject.outlier_score, subject.outlier_figure = float(distance), key
