"""A recipe of several stages: a run for each, below the recipe's folder, each from the weights of the one before."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

from medsr.core.types import Notify
from medsr.data import file_list
from medsr.data.sources import folder_of
from medsr.io.files import atomic_path, write_text
from medsr.recipe import PREVIOUS, Recipe
from medsr.report.page import Section, Table, folder_name, write_page
from medsr.training import initial_weights, report, trainer, validation
from medsr.training.result import TrainingResult

WEIGHTS = ("model.safetensors", "best.safetensors")


def train(recipe: Recipe, run: Path, device: str, resuming: bool, notify: Notify) -> TrainingResult:
    """Every stage in turn, in `run/1-NAME`, `run/2-NAME`, ... A finished one is not done again.

    The last one's weights are in `run` too. Raises as `single.train`.
    """
    for index in range(len(recipe.stages)):  # what a later one needs is looked for before days are spent on the first
        stage = recipe.stage(index)
        folder_of(stage.data.train, "data.train")
        initial_weights.find_weights(stage)
        validation.measures(stage.metric)
    run.mkdir(parents=True, exist_ok=True)
    write_text(run / "recipe.yml", recipe.to_yaml())
    results: list[TrainingResult] = []
    for index in range(len(recipe.stages)):
        name, folder = recipe.stages[index].name, stage_folder(recipe, run, index)
        if (stage_result := TrainingResult.of(folder)) is not None:
            notify(f"stage {name}: finished before")
        else:
            notify(f"stage {name}, {index + 1} of {len(recipe.stages)}")
            going_on = (folder / "recipe.yml").is_file()
            if not going_on:
                _hand_on(recipe, run, index)
            stage_result = trainer.train(_ready(recipe, run, index), folder, device, going_on, notify, whole=run)
        results.append(stage_result)
    last = results[-1]
    for weights in (*WEIGHTS, "discriminator.safetensors"):
        if (last.run / weights).is_file():
            with atomic_path(run / weights) as temporary:
                shutil.copyfile(last.run / weights, temporary)
    seconds = sum(result.seconds for result in results)
    iterations = sum(result.iterations for result in results)
    summary = replace(last, run=run, seconds=seconds, iterations=iterations)
    summary = replace(summary, start=results[0].start, start_from=results[0].start_from)
    _write_report(recipe, summary, results)
    summary.save()
    return summary


def stage_folder(recipe: Recipe, run: Path, index: int) -> Path:
    """The folder of a stage."""
    return run / f"{index + 1}-{recipe.stages[index].name}"


def _hand_on(recipe: Recipe, run: Path, index: int) -> None:
    """A stage on the data of one before, or of the whole, holds out the same files."""
    for folder in (*(stage_folder(recipe, run, before) for before in reversed(range(index))), run):
        if (recorded := file_list.of(folder, recipe.stage(index))) is not None:
            file_list.write(stage_folder(recipe, run, index), recorded)
            return


def _ready(recipe: Recipe, run: Path, index: int) -> Recipe:
    """A stage's recipe with the file its generator starts from: the best weights of the stage before, else its last."""
    stage = recipe.stage(index)
    if stage.start_from.generator != PREVIOUS:
        return stage
    before = recipe.stage(index - 1)
    folder = stage_folder(recipe, run, index - 1)
    weights = next(folder / name for name in reversed(WEIGHTS) if (folder / name).is_file())
    other = (stage.scale, stage.channels) != (before.scale, before.channels)
    start = stage.start_from.model_copy(
        update={"generator": str(weights.absolute()), "matching": stage.start_from.matching or other}
    )
    return stage.model_copy(update={"start_from": start})


def _write_report(recipe: Recipe, summary: TrainingResult, results: list[TrainingResult]) -> None:
    run, rows = summary.run, []
    for stage, result in zip(recipe.stages, results, strict=True):
        scores = [
            "; ".join(f"{name} {value:.4g}" for name, value in scores.items()) or "-"
            for scores in (result.bicubic, result.start, result.best, result.end)
        ]
        rows.append([stage.name, str(result.iterations), f"{result.seconds:.0f}", *scores])
    header = ["stage", "iterations", "seconds", "interpolation", "start", "best", "end"]
    reports = ", ".join(str(result.run.relative_to(run) / "report.html") for result in results)
    sections = [
        report.verdict_section(summary),
        Section("Stages", f"Curves and samples: {reports}.", tables=[Table(header, rows)]),
        Section("Recipe", code=recipe.for_page()),
    ]
    lead = f"Recipe {recipe.name}, x{recipe.scale}, in {len(results)} stages, seed {recipe.seed}."
    write_page(run / "report.html", f"{folder_name(run)}: fine-tuning ({recipe.name})", lead, sections)
