"""`medsr finetune`: from a recipe and a folder of ground truth to a run's folder."""

from __future__ import annotations

import time
from pathlib import Path

from medsr import recipe as recipes
from medsr.data.depth import with_depth
from medsr.devices import choose
from medsr.errors import UsageError
from medsr.recipe import Recipe
from medsr.train import processes, single, stages
from medsr.train.result import Result
from medsr.train.single import Say


def finetune(
    recipe: str | Path,
    data: str | Path | None = None,
    out: str | Path | None = None,
    overrides: list[str] | None = None,
    resume: str | Path | None = None,
    device: str = "auto",
    seed: int | None = None,
    say: Say = lambda _: None,
) -> Result:
    """Fine-tune a generator as `recipe` (a file, or the name of a shipped one) says.

    `data`, `overrides` (`a.b=value`) and `seed` replace what the recipe says. `out`: the run's folder, which must not
    hold a run. `resume`: a run's folder to go on with, by its own recipe; only `iterations` or `minutes` may be raised.
    `say` receives one line for everything the user should know.

    Raises UsageError, WeightsError or TrainingError before or during training; nothing is skipped in silence.
    """
    if resume is not None:
        run = Path(resume)
        settings = _resumed_recipe(recipe, run, out, given(data, overrides, seed))
    else:
        settings, told = with_depth(recipes.load(recipe, given(data, overrides, seed)))
        if told:
            say(told)
        if not out and processes.count()[0] > 1:
            raise UsageError("--out: several processes train together; say where, the same for all of them")
        run = Path(out) if out else Path("runs") / f"{settings.name}-{time.strftime('%Y%m%d-%H%M%S')}"
        if run.exists() and not run.is_dir():
            raise UsageError(f"{run}: is a file; --out names a folder")
        if (run / "recipe.yml").exists() or (run / "log.jsonl").exists():
            raise UsageError(f"{run}: already holds a run; give another --out, or --resume {run}")
    train = stages.train if settings.stages else single.train
    return train(settings, run, choose(device), resume is not None, say)


def given(data: str | Path | None, overrides: list[str] | None, seed: int | None) -> list[str]:
    """What was said beside the recipe, as overrides of it."""
    more = [f"data.train={_quoted(data)}"] if data is not None else []
    more += [f"seed={seed}"] if seed is not None else []
    return [*(overrides or []), *more]


def _quoted(value: str | Path) -> str:
    import json

    return json.dumps(str(Path(value).expanduser().absolute()))


def _resumed_recipe(name: str | Path, run: Path, out: str | Path | None, overrides: list[str]) -> Recipe:
    """The run's own recipe. What is said again must agree with it; only its length and `data.workers` may differ."""
    saved = run / "recipe.yml"
    if not saved.is_file():
        raise UsageError(f"{run}: not a run's folder (no recipe.yml)")
    before, after = recipes.load(saved), recipes.load(saved, overrides)
    same_data = after.data.model_copy(update={"workers": before.data.workers})
    length = {} if before.stages else {"iterations": before.iterations, "minutes": before.minutes}
    same = after.model_copy(update={**length, "data": same_data}) == before
    same = same and (after.minutes is None) == (before.minutes is None)
    if not same or (name and recipes.load(name).name != before.name):
        free = "data.workers" if before.stages else "iterations, minutes and data.workers"
        raise UsageError(f"--resume {run}: goes on with the run's own recipe; only {free} may change")
    if out is not None and Path(out).resolve() != run.resolve():
        raise UsageError(f"--resume {run}: goes on in that folder; --out {out} is another")
    return after


def describe(result: Result) -> list[str]:
    """What to tell the user at the end."""
    lines = [f"model: {result.model}", f"report: {result.run / 'report.html'}"]
    if result.bicubic:
        best = result.best["psnr"]
        lines.insert(0, f"best validation PSNR {best:.2f} dB, {best - result.bicubic['psnr']:+.2f} over interpolation")
    if result.stopped_early:
        lines.insert(
            0, f"stopped early after {result.iterations} iterations: no better result for the recipe's patience"
        )
    return lines
