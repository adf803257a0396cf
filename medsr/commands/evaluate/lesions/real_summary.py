"""What was kept of real lesions, by their size: means with intervals, differences to the baseline."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from medsr.commands.evaluate.lesions.real_lesions import RealLesion
from medsr.metrics.bootstrap import FEW, IntervalSummary, summarize

CLASSES: Mapping[str, tuple[float, ...]] = {
    "ml": (0.01, 0.05, 0.5),
    "mm²": (20, 80, 700),
    "pixels": (20, 100, 1000),
}
"""Where size classes end, by the unit of size: balls 2.7, 4.6 and 9.8 mm wide; discs 5, 10 and 30 mm, or 5, 11 and 36
pixels wide."""
ALL = "all"


@dataclass(frozen=True)
class SizeSummary:
    """Lesions of one size class in one model's results; `ALL` of them together.

    `lesions`: how many stand out and are counted; `left_out`: how many do not. `over`: what the 95 % intervals are
    over: `subjects` (means of their lesions; from 10 subjects on), or `lesions`: those speak of these subjects alone.
    `gain`: mean difference of the contrast kept to the baseline's, on the same lesions; None for the baseline.
    `erased_half`, `erased_quarter`: shares of lesions that keep less than that of their contrast. `lost`: share of
    which nothing lies beyond half of the true contrast.
    """

    model: str
    size: str
    lesions: int
    left_out: int
    over: str
    contrast_kept: IntervalSummary
    extent_kept: IntervalSummary
    gain: IntervalSummary | None
    erased_half: float
    erased_quarter: float
    lost: float

    def to_json(self) -> dict[str, Any]:
        """Plain numbers, strings and dictionaries."""
        return asdict(self)


def by_size(lesions: Sequence[RealLesion], baseline: str) -> list[SizeSummary]:
    """A summary of every model and size class that has a lesion which stands out, small sizes first, `ALL` at last."""
    rows: dict[str, list[RealLesion]] = defaultdict(list)
    for lesion in lesions:
        rows[lesion.model].append(lesion)
    base = {(lesion.subject, lesion.number): lesion.contrast_kept for lesion in rows[baseline]}
    summaries = []
    for unit in dict.fromkeys(lesion.unit for lesion in lesions):
        for size in (*size_classes(unit), ALL):
            for model, all_sizes in rows.items():
                group = [row for row in all_sizes if row.unit == unit and size in (ALL, size_class(row))]
                summary = _summary(model, size, group, None if model == baseline else base)
                if summary is not None:
                    summaries.append(summary)
    return summaries


def size_classes(unit: str) -> list[str]:
    """Their names, small ones first."""
    edges = CLASSES[unit]
    between = [f"{low:g} to {high:g} {unit}" for low, high in pairwise(edges)]
    return [f"below {edges[0]:g} {unit}", *between, f"{edges[-1]:g} {unit} and above"]


def size_class(lesion: RealLesion) -> str:
    """The name of its class."""
    return size_classes(lesion.unit)[int(np.searchsorted(CLASSES[lesion.unit], lesion.volume, side="right"))]


def _summary(
    model: str, size: str, rows: Sequence[RealLesion], base: Mapping[tuple[str, int], float] | None
) -> SizeSummary | None:
    counted = [row for row in rows if row.stands_out]
    if not counted:
        return None
    kept = np.array([row.contrast_kept for row in counted])
    gain = None
    if base and (paired := [row for row in counted if (row.subject, row.number) in base]):
        gain = _interval(paired, [row.contrast_kept - base[row.subject, row.number] for row in paired])
    return SizeSummary(
        model,
        size,
        len(counted),
        len(rows) - len(counted),
        _over(counted),
        _interval(counted, kept),
        _interval(counted, [row.extent_kept for row in counted]),
        gain,
        float(np.mean(kept < 0.5)),
        float(np.mean(kept < 0.25)),
        float(np.mean([row.extent == 0 for row in counted])),
    )


def _over(rows: Sequence[RealLesion]) -> str:
    return "subjects" if len({row.subject for row in rows}) >= FEW else "lesions"


def _interval(rows: Sequence[RealLesion], values: Sequence[float] | np.ndarray) -> IntervalSummary:
    """Lesions of a subject are alike: where there are enough subjects, each counts once."""
    if _over(rows) == "lesions":
        return summarize([float(value) for value in values])
    subjects: dict[str, list[float]] = defaultdict(list)
    for row, value in zip(rows, values, strict=True):
        subjects[row.subject].append(float(value))
    return summarize([float(np.mean(own)) for own in subjects.values()])
