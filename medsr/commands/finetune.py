"""`medsr finetune`: from a recipe and a folder of ground truth to a run's folder."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from medsr import recipe as recipes
from medsr.core.devices import choose
from medsr.core.errors import UsageError
from medsr.core.resources import expanded
from medsr.core.threads import bound_torch
from medsr.core.types import Notify
from medsr.data import changes, file_list
from medsr.data.depth import with_depth
from medsr.recipe import Pairs, Recipe
from medsr.training import processes, stages, trainer
from medsr.training.result import TrainingResult


def finetune(
    recipe: str | Path,
    data: str | Path | None = None,
    *,
    out: str | Path | None = None,
    overrides: list[str] | None = None,
    resume: str | Path | None = None,
    device: str = "auto",
    seed: int | None = None,
    notify: Notify = lambda _: None,
    accept_new_data: bool = False,
) -> TrainingResult:
    """Fine-tune a generator as a recipe says.

    Args:
        recipe: A recipe file, or the name of one that comes with medsr (`retina`, `chest_xray`, ...).
        data: The folder of ground truth, instead of the recipe's.
        out: The run's folder, which must not hold a run. None: a new one below `runs`.
        overrides: `KEY=VALUE` for the recipe, such as `losses.gan.weight=0`.
        resume: A run's folder to go on with, by its own recipe. Only `iterations` or `minutes` may be raised.
        device: `auto`, `cpu`, `cuda`, `cuda:1` or `mps`.
        seed: Of everything random, instead of the recipe's.
        notify: Called with each line that a user should read.
        accept_new_data: Whether a resumed run trains on what was added or changed since. What was held out stays so.

    Returns:
        The run: its folder, `model` (the weights at the end), and means over the held-out images at the start, at the
        best and at the end.

    Raises:
        UsageError: The recipe or an argument is wrong.
        WeightsError: Weights to start from are missing or do not fit.
        TrainingError: Training could not go on; the last good state is kept.

    Examples:
        >>> import medsr
        >>> run = medsr.finetune("recipe.yml", "photographs", out="run", device="cpu")
        >>> run.model.is_file()
        True
    """
    if resume is not None:
        run = Path(resume)
        settings = _resumed_recipe(recipe, run, out, as_overrides(data, overrides, seed))
        settings = _with_same_data(settings, run, accept_new_data, notify)
    else:
        settings, depth_note = with_depth(recipes.load(recipe, as_overrides(data, overrides, seed)))
        if depth_note:
            notify(depth_note)
        if not out and processes.count()[0] > 1:
            raise UsageError("`out`: several processes train together; say where, the same for all of them")
        run = Path(out) if out else Path("runs") / f"{settings.name}-{time.strftime('%Y%m%d-%H%M%S')}"
        if run.exists() and not run.is_dir():
            raise UsageError(f"{run}: is a file; `out` names a folder")
        if (run / "recipe.yml").exists() or (run / "log.jsonl").exists():
            raise UsageError(f"{run}: already holds a run; give another `out`, or `resume={run}`")
    bound_torch()
    train = stages.train if settings.stages else trainer.train
    return train(settings, run, choose(device), resume is not None, notify)


def as_overrides(data: str | Path | None, overrides: list[str] | None, seed: int | None) -> list[str]:
    """The folder of data and the seed, which are given beside the recipe, as overrides of it, after the others."""
    extra = [f"data.train={_quoted(data)}"] if data is not None else []
    extra += [f"seed={seed}"] if seed is not None else []
    return [*(overrides or []), *extra]


def _quoted(value: str | Path) -> str:
    import json

    return json.dumps(str(expanded(value).absolute()))


def _resumed_recipe(name: str | Path, run: Path, out: str | Path | None, overrides: list[str]) -> Recipe:
    """The run's own recipe. What is said again must agree with it; only its length and `data.workers` may differ."""
    saved = run / "recipe.yml"
    if not saved.is_file():
        raise UsageError(f"{run}: not a run's folder (no recipe.yml)")
    before, after = recipes.load(saved), recipes.load(saved, overrides)
    length = {} if before.stages else {"iterations": before.iterations, "minutes": before.minutes}
    workers = {"data": after.data.model_copy(update={"workers": before.data.workers})}
    same = at_folders_of(before, after.model_copy(update={**length, **workers})) == before
    same = same and (after.minutes is None) == (before.minutes is None)
    if not same or (name and recipes.load(name).name != before.name):
        length_too = "" if before.stages else "iterations, minutes, "
        free = f"{length_too}data.workers and the folders of data"
        raise UsageError(f"`resume={run}`: goes on with the run's own recipe; only {free} may change")
    if out is not None and Path(out).resolve() != run.resolve():
        raise UsageError(f"`resume={run}`: goes on in that folder; `out={out}` is another")
    return after


def at_folders_of(before: Recipe, after: Recipe) -> Recipe:
    """`after` with the folders of data that `before` names: whether they hold the same files, their hashes say."""
    data: dict[str, Any] = {"train": before.data.train}
    if all("data.validation" in file_list.folders_of(recipe) for recipe in (before, after)):
        data["validation"] = before.data.validation
    changed: dict[str, Any] = {"data": after.data.model_copy(update=data)}
    if isinstance(before.degradation, Pairs) and isinstance(after.degradation, Pairs):
        low = {"low_resolution": before.degradation.low_resolution}
        changed["degradation"] = after.degradation.model_copy(update=low)
    return after.model_copy(update=changed)


def _with_same_data(recipe: Recipe, run: Path, accept: bool, notify: Notify) -> Recipe:
    """The recipe to resume by, once its files are those that the run began with. Raises UsageError."""
    for name in file_list.folders_of(recipe).values():
        if not Path(name).is_dir():
            raise UsageError(f"{name}: is not there; if the data was moved: `resume={run}` `data=NEW_FOLDER`")
    parts = [(run, recipe)]
    if recipe.stages:
        parts += [(stages.stage_folder(recipe, run, n), recipe.stage(n)) for n in range(len(recipe.stages))]
    if any((folder / file_list.NAME).is_file() for folder, _ in parts):
        for folder, part in parts:
            changes.settle(folder, part, accept)
        return recipe
    if at_folders_of(recipes.load(run / "recipe.yml"), recipe) != recipe:
        raise UsageError(f"{run}: has no {file_list.NAME}, so whether other folders hold the same files is not known")
    notify(
        f"{run}: an earlier medsr began it, without a list of its files: what is held out is drawn as before, from the "
        "files that are there now"
    )
    return recipe.model_copy(update={"data": recipe.data.model_copy(update={"keep_masks": True})})


def describe(result: TrainingResult) -> list[str]:
    """What to tell the user at the end: the verdict last but for where things lie."""
    lines = []
    if result.stopped_early:
        lines.append(f"stopped early after {result.iterations} iterations: no better result for the recipe's patience")
    if result.verdict:  # an earlier medsr wrote none
        lines += [f"{name}: {value}" for name, value in result.facts(result.data).items()]
        lines += [f"verdict: {result.verdict[0]}", *(f"  {sentence}" for sentence in result.verdict[1:])]
    return [*lines, f"model: {result.model}", f"report: {result.run / 'report.html'}"]
