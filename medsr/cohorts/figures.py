"""What is known of each result, and which of them are unlike the others."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from medsr.cohorts.plan import Plan, Unit
from medsr.infer import sidecar
from medsr.io.files import read_text
from medsr.scan.files import Target
from medsr.status import Row
from medsr.text import shown

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


@dataclass
class Subject:
    """One done input. `outlying`: how far its most unusual figure is from the median, and which that is."""

    name: str
    row: Row
    values: dict[str, float]
    notes: list[str]
    picture: Path | None
    outlying: float = 0.0
    why: str = ""
    unlike: dict[str, float] = field(default_factory=dict)


def subjects(plan: Plan, rows: list[Row]) -> list[Subject]:
    """Those that are done, the most unlike first."""
    images = sidecar.read(plan.out) if plan.command == "upscale" else {}
    units = {shown(unit.target): unit for unit in plan.units}
    found = [_subject(plan, units[row.output], row, images) for row in rows]
    for key in LABELS:
        _measure(found, key)
    return sorted(found, key=lambda one: (-one.outlying, one.name))


def _subject(plan: Plan, unit: Unit, row: Row, images: Mapping[str, Any]) -> Subject:
    """`images`: what `upscale.json` tells of each."""
    output = Path(unit.target)
    name = str(output.relative_to(plan.out)) if output.is_relative_to(plan.out) else output.name
    values = {"seconds": float(row.seconds)}
    if plan.command == "upscale":
        notes = images.get(name, {}).get("notes", [])
        return Subject(name, row, values, [note for note in notes if note.startswith("warning")], output)
    target = Target(Path(unit.source), output, bool(plan.options.get("dicom")))
    summary = _summary(target.beside(".json"))
    consistency = summary.get("consistency") or {}
    if consistency:
        values["unexplained"] = consistency["before"]["rms_percent_of_range"]
        values["range"] = consistency["range"]
        values["clipped"] = float(summary.get("clipped_voxels", 0))
    if spread := summary.get("uncertainty"):
        values["uncertainty"] = spread["mean"]
    if grid := summary.get("output"):
        values["voxels"] = math.prod(grid["shape"]) / 1e6
        values["spacing"] = min(grid["spacing_mm"])
    picture = target.beside("_preview.png")
    return Subject(name, row, values, list(summary.get("warnings", [])), picture if picture.is_file() else None)


def _summary(path: Path) -> dict[str, Any]:
    try:
        told = json.loads(read_text(path))
    except (OSError, ValueError):
        return {}
    return told if isinstance(told, dict) else {}


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
