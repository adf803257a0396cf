"""compare.json: what a comparison measured, for programs."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from medsr.commands.compare.entry import RecipeComparison
from medsr.commands.compare.page import ComparisonSummary
from medsr.metrics.bootstrap import IntervalSummary, summarize


def as_json(comparison: RecipeComparison, summary: ComparisonSummary) -> dict[str, Any]:
    """As `medsr evaluate` writes it, and the runs."""
    scores = {summary.baseline: comparison.bicubic} | {entry.leaf.name: entry.scores for entry in comparison.entries}
    return {
        "benchmark": "compare",
        "protocol": {"low_resolution": summary.protocol, "budget": summary.budget, "recipes": dict(summary.recipes)},
        "n": len(summary.images),
        "models": {
            name: {metric: _interval(summarize(values)) for metric, values in model_scores.per_image.items()}
            for name, model_scores in scores.items()
        },
        "images": [
            {"id": image, "model": name, **{metric: values[index] for metric, values in model_scores.per_image.items()}}
            for name, model_scores in scores.items()
            for index, image in enumerate(summary.images)
        ],
        "runs": {
            entry.leaf.name: {
                "parameters": entry.parameters,
                "iterations": entry.leaf.result.iterations,
                "seconds": entry.leaf.result.seconds,
                "start_psnr": entry.start_psnr,
                "psnr_over_baseline": _interval(entry.gain),
            }
            for entry in comparison.entries
        },
        "failed": [asdict(failure) for failure in comparison.failed],
    }


def _interval(summary: IntervalSummary) -> dict[str, Any]:
    return {"mean": summary.mean, "ci95": [summary.low, summary.high], "n": summary.n}
