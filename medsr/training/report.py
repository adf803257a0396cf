"""A run's `report.html`: curves, figures and samples."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from medsr.recipe import Recipe
from medsr.report.page import Picture, Section, Table, curves, folder_name, picture_file, smooth, write_page
from medsr.training.degradations import strategy_of
from medsr.training.result import TrainingResult
from medsr.training.training_logger import read_log
from medsr.training.validation import Scores, lower_is_better

SAMPLES = 6


def write(result: TrainingResult, recipe: Recipe, interpolated: Scores | None, skipped: int) -> None:
    """Write `report.html` into the run's folder from its log and samples."""
    run = result.run
    sections = [verdict_section(result), Section("Losses", pictures=loss_curves(run))]
    records = [record for record in read_log(run) if "validation" in record]
    strategy = strategy_of(recipe)
    protocol, baseline = strategy.describe(recipe), strategy.baseline
    if interpolated and records:
        iterations = [record["iteration"] for record in records]
        figures = {
            key: curves(
                f"Validation {key.upper()}",
                {
                    "model (EMA)": (iterations, [record["validation"][key] for record in records]),
                    baseline: (iterations, [getattr(interpolated, key)] * len(iterations)),
                },
                "dB" if key == "psnr" else "SSIM",
            )
            for key in ("psnr", "ssim")
        }
        rows = [[baseline, f"{interpolated.psnr:.2f}", f"{interpolated.ssim:.4f}"]]
        milestones = {"start": records[0], "best": _best(records, recipe.metric), "end": records[-1]}
        for name, record in milestones.items():
            scores = record["validation"]
            rows.append([f"{name} (iteration {record['iteration']})", f"{scores['psnr']:.2f}", f"{scores['ssim']:.4f}"])
        table = Table(["model", "PSNR (dB)", "SSIM"], rows, f"Held-out images. Protocol: {protocol}.")
        sections.append(Section("Validation", tables=[table], pictures=list(figures.values())))
    if setbacks := [record for record in read_log(run) if "rollback" in record]:
        setback_rows = [[str(record["iteration"]), record["reason"]] for record in setbacks]
        sections.append(Section("Went back", tables=[Table(["to iteration", "because"], setback_rows, text=True)]))
    samples = sorted((run / "samples").glob("*.png"))
    chosen_samples = samples if len(samples) <= SAMPLES else [samples[0], *samples[-SAMPLES + 1 :]]
    if chosen_samples:
        pictures = [picture_file(f"Iteration {int(path.stem)}", path) for path in chosen_samples]
        sections.append(
            Section(
                "Samples",
                f"{baseline.capitalize()}, model, ground truth, from left to right.",
                pictures=pictures,
                wide=True,
            )
        )
    sections.append(Section("Recipe", code=recipe.for_page()))
    lead = f"Recipe {recipe.name}, x{recipe.scale}, "
    length = f"{recipe.iterations} iterations" if recipe.minutes is None else f"{recipe.minutes:g} minutes"
    lead += f"{length} of batch {recipe.batch}, seed {recipe.seed}."
    lead += f" {skipped} image(s) were left out." if skipped else ""
    write_page(run / "report.html", f"{folder_name(run)}: fine-tuning ({recipe.name})", lead, sections)


def verdict_section(result: TrainingResult) -> Section:
    """Whether to use the weights, and what they were made of: the first thing on the page."""
    rows = [[name, value] for name, value in result.facts(Path(result.data).name).items()]
    return Section("Verdict", " ".join(result.verdict), [Table(["", ""], rows, text=True)])


def _best(records: list[dict[str, Any]], metric: str) -> dict[str, Any]:
    best_of = min if lower_is_better(metric) else max
    return best_of(records, key=lambda record: record["validation"][metric])


def loss_curves(run: Path) -> list[Picture]:
    """The run's loss curves, smoothed, as pictures."""
    records = [record for record in read_log(run) if "learning_rate" in record]
    names = [name for name in (records[0] if records else {}) if name not in ("iteration", "learning_rate")]
    window = max(1, len(records) // 50)
    iterations = [record["iteration"] for record in records]
    lines = {name: (iterations, smooth([record[name] for record in records], window)) for name in names}
    groups = {
        "Generator": [n for n in names if not n.startswith("d")],
        "Discriminator": [n for n in names if n.startswith("d")],
    }
    averaged = f", mean of {window} iterations" if window > 1 else ""
    return [
        curves(f"{title} losses{averaged}", {name: lines[name] for name in group}, "loss", log=True)
        for title, group in groups.items()
        if group
    ]
