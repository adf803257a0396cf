"""What an evaluation found: every figure of every image, means with intervals, differences to the baseline."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from medsr.batch.outcome import Outcome
from medsr.metrics.bootstrap import METHOD, IntervalSummary, summarize


@dataclass(frozen=True)
class ImageScores:
    """One model on one image."""

    id: str
    model: str
    metrics: Mapping[str, float] = field(hash=False)


@dataclass(frozen=True, eq=False)
class Evaluation:
    """`rows`: only images that every model did; `failed`: the others, each with its reason.

    `protocol`: every parameter; `models`: by name, what is known of each (hash, note); `versions`: of what measured.
    `seen`: which models were trained on some of these images.
    """

    benchmark: str
    protocol: Mapping[str, Any]
    baseline: str
    models: Mapping[str, Mapping[str, Any]]
    rows: Sequence[ImageScores]
    failed: Sequence[Outcome]
    versions: Mapping[str, str]
    seen: Sequence[str] = ()

    @property
    def ids(self) -> list[str]:
        """The images measured, in order."""
        return list(dict.fromkeys(row.id for row in self.rows))

    @property
    def metrics(self) -> list[str]:
        """Every metric measured on at least one image, in the order they are shown."""
        return list(dict.fromkeys(key for row in self.rows for key in row.metrics))

    def values(self, model: str, metric: str) -> dict[str, float]:
        """By image; images without that metric are left out."""
        return {row.id: row.metrics[metric] for row in self.rows if row.model == model and metric in row.metrics}

    @cached_property
    def means(self) -> dict[str, dict[str, IntervalSummary]]:
        """Model -> metric -> mean with its interval."""
        return {
            model: {
                key: summarize(list(values.values())) for key in self.metrics if (values := self.values(model, key))
            }
            for model in self.models
        }

    @cached_property
    def differences(self) -> dict[str, dict[str, IntervalSummary]]:
        """Model -> metric -> mean of its difference to the baseline on the same image, with the interval of that."""
        return {
            model: {key: summarize(list(gains.values())) for key in self.metrics if (gains := self.gains(model, key))}
            for model in self.models
            if model != self.baseline
        }

    def gains(self, model: str, metric: str) -> dict[str, float]:
        """By image: the model's figure minus the baseline's."""
        own, base = self.values(model, metric), self.values(self.baseline, metric)
        return {image: own[image] - base[image] for image in own if image in base}

    def to_json(self) -> dict[str, Any]:
        """As docs/evaluation.md describes; plain numbers, strings, lists and dictionaries."""
        return {
            "benchmark": self.benchmark,
            "protocol": {**self.protocol, "intervals": METHOD, "difference_to": self.baseline},
            "n": len(self.ids),
            "models": {
                model: {key: summary.to_json() for key, summary in summaries.items()}
                for model, summaries in self.means.items()
            },
            "differences": {
                model: {key: summary.to_json() for key, summary in summaries.items()}
                for model, summaries in self.differences.items()
            },
            "images": [{"id": row.id, "model": row.model, **row.metrics} for row in self.rows],
            "failed": [{"id": str(outcome.input), "reason": str(outcome.error)} for outcome in self.failed],
            "about_models": dict(self.models),
            "seen": list(self.seen),
            "versions": dict(self.versions),
        }
