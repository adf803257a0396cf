"""What became of the lesions: every figure of every subject, means with intervals, differences to the baseline."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from medsr.batch.outcome import Outcome
from medsr.commands.evaluate.lesions.real_lesions import RealLesion
from medsr.core.types import Array
from medsr.metrics.bootstrap import METHOD, IntervalSummary, summarize

GROUND_TRUTH = "ground truth"
"""Measured beside the models: what no model can be better than."""


@dataclass(frozen=True)
class Measure:
    """`better`: 1 where more is better, -1 where less is, 0 where neither."""

    label: str
    better: int
    digits: int
    about: str


MEASURES = {
    "integrated": Measure("contrast kept", 1, 3, "sum of the difference within the lesion, in parts of the truth's"),
    "peak": Measure("peak kept", 1, 3, "largest difference within the lesion, in parts of the truth's"),
    "erased_half": Measure("erased (< 0.5)", -1, 3, "share of lesions that keep less than half of their contrast"),
    "erased_quarter": Measure("erased (< 0.25)", -1, 3, "share of lesions that keep less than a quarter of it"),
    "width": Measure("width", 0, 2, "full width at half maximum, in parts of the truth's"),
    "displacement": Measure("displacement", -1, 2, "of the centroid, in the unit of sizes"),
    "leakage": Measure("leakage", -1, 3, "absolute difference outside the lesion, in parts of the lesion"),
    "cho_auc": Measure("AUC, Hotelling observer", 1, 3, "channelised, trained on other subjects; 0.5 is chance"),
    "cho_d": Measure("d', Hotelling observer", 1, 2, "detectability of the channelised observer"),
    "npw_auc": Measure("AUC, matched filter", 1, 3, "non-prewhitening, template from other subjects"),
    "npw_d": Measure("d', matched filter", 1, 2, "detectability of the matched filter"),
    "false_finds": Measure("false finds", -1, 2, "blobs found without a lesion, where half of the real ones are found"),
    "invented": Measure("invented", -1, 2, "those of them that the ground truth does not have"),
}


@dataclass(frozen=True, order=True)
class Cell:
    """Lesions alike. `size`: full width, in the unit of the kind. `contrast`: None for all of them together."""

    family: str
    size: float
    contrast: float | None = None


@dataclass(frozen=True)
class Score:
    """One measure of one model on one subject: the mean over its lesions of that cell. `n`: how many they are."""

    subject: str
    model: str
    cell: Cell
    measure: str
    value: float
    n: int = 1


@dataclass(frozen=True, eq=False)
class Strip:
    """An example for the page: sections through one lesion, (h, w, 1 or 3) in [0, 1], by the model's name.

    `present`: with the lesion; `absent`: the same without it. `GROUND_TRUTH` and the input ("input", interpolated
    to nearest neighbours) stand beside the models.
    """

    subject: str
    cell: Cell
    present: Mapping[str, Array]
    absent: Mapping[str, Array]


@dataclass(frozen=True, eq=False)
class LesionEvaluation:
    """`scores`: only subjects that every model did; `failed`: the others, each with its reason.

    `unit`: of sizes, `mm` or `pixels`; `per`: of finds, `100 ml` or `megapixel`. `protocol`: every parameter.
    `models`: by name, what is known of each; the ground truth first, then the baseline. `strips`: examples.
    `places`: by subject a picture of where lesions were drawn, (H, W, 3) in [0, 1]. `real`: lesions of given masks.
    `seen`: which models were trained on some of the images.
    """

    kind: str
    unit: str
    per: str
    protocol: Mapping[str, Any]
    baseline: str
    models: Mapping[str, Mapping[str, Any]]
    scores: Sequence[Score]
    failed: Sequence[Outcome]
    versions: Mapping[str, str]
    strips: Sequence[Strip] = field(default=(), repr=False)
    places: Mapping[str, Array] = field(default_factory=dict, repr=False)
    real: Sequence[RealLesion] = ()
    seen: Sequence[str] = ()

    @property
    def subjects(self) -> list[str]:
        """Those measured, in order."""
        return list(dict.fromkeys(score.subject for score in self.scores))

    @property
    def cells(self) -> list[Cell]:
        """Every cell that was measured, families in their order, then by size; of each first all contrasts."""
        families = list(dict.fromkeys(score.cell.family for score in self.scores))

        def order(cell: Cell) -> tuple[int, float, float]:
            return families.index(cell.family), cell.size, 0 if cell.contrast is None else abs(cell.contrast)

        return sorted({score.cell for score in self.scores}, key=order)

    @cached_property
    def _by_key(self) -> dict[tuple[str, Cell, str], dict[str, Score]]:
        table: dict[tuple[str, Cell, str], dict[str, Score]] = defaultdict(dict)
        for score in self.scores:
            table[score.model, score.cell, score.measure][score.subject] = score
        return table

    def values(self, model: str, cell: Cell, measure: str) -> dict[str, float]:
        """By subject; those where it is not defined are left out."""
        scores = self._by_key.get((model, cell, measure), {})
        return {subject: score.value for subject, score in scores.items() if np.isfinite(score.value)}

    def count(self, model: str, cell: Cell) -> int:
        """How many lesions of that cell were drawn."""
        return sum(score.n for score in self._by_key.get((model, cell, "integrated"), {}).values())

    def mean(self, model: str, cell: Cell, measure: str) -> IntervalSummary | None:
        """Over subjects; None where it was not measured."""
        values = self.values(model, cell, measure)
        return summarize(list(values.values())) if values else None

    def difference(self, model: str, cell: Cell, measure: str) -> IntervalSummary | None:
        """Mean of the differences to the baseline on the same subject; None where there is none."""
        own, base = self.values(model, cell, measure), self.values(self.baseline, cell, measure)
        gains = [own[subject] - base[subject] for subject in own if subject in base]
        return summarize(gains) if gains else None

    def to_json(self) -> dict[str, Any]:
        """As docs/evaluation.md describes; plain numbers, strings, lists and dictionaries."""
        return {
            "benchmark": "lesions",
            "kind": self.kind,
            "unit": self.unit,
            "per": self.per,
            "protocol": {**self.protocol, "intervals": METHOD, "difference_to": self.baseline},
            "seen": list(self.seen),
            "n": len(self.subjects),
            "figures": [
                {
                    "model": model,
                    **_json_of_cell(cell),
                    "measure": measure,
                    **mean.to_json(),
                    "difference": gain.to_json()
                    if model != self.baseline and (gain := self.difference(model, cell, measure))
                    else None,
                }
                for model in self.models
                for cell in self.cells
                for measure in MEASURES
                if (mean := self.mean(model, cell, measure)) is not None
            ],
            "scores": [
                {
                    "subject": score.subject,
                    "model": score.model,
                    **_json_of_cell(score.cell),
                    "measure": score.measure,
                    "value": score.value if np.isfinite(score.value) else None,
                    "lesions": score.n,
                }
                for score in self.scores
            ],
            "real": [lesion.to_json() for lesion in self.real],
            "failed": [{"id": str(outcome.input), "reason": str(outcome.error)} for outcome in self.failed],
            "about_models": dict(self.models),
            "versions": dict(self.versions),
        }


def scores_of(subject: str, model: str, figures: Iterable[tuple[Cell, Mapping[str, float]]]) -> list[Score]:
    """Means over the lesions of each cell, and over all contrasts of a size. `figures`: of every lesion."""
    groups: dict[tuple[Cell, str], list[float]] = defaultdict(list)
    for cell, measures in figures:
        for measure, value in measures.items():
            for group in (cell, Cell(cell.family, cell.size)):
                groups[group, measure].append(value)
    scores = []
    for (cell, measure), values in groups.items():
        defined = [value for value in values if np.isfinite(value)]
        mean = float(np.mean(defined)) if defined else float("nan")
        scores.append(Score(subject, model, cell, measure, mean, len(values)))
    return scores


def _json_of_cell(cell: Cell) -> dict[str, Any]:
    return {"family": cell.family, "size": cell.size, "contrast": cell.contrast}
