"""`medsr compare`: train several recipes on the same images under the same budget, and write one page."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from medsr import recipe as recipes
from medsr.commands.compare import page
from medsr.commands.compare.comparable import check_comparable, same_held_out
from medsr.commands.compare.entry import Entry, Failed, Leaf, RecipeComparison, folder_of, leaves
from medsr.commands.compare.record import as_json
from medsr.commands.finetune import as_overrides, at_folders_of, finetune
from medsr.core.devices import choose
from medsr.core.errors import MedsrError, StoppedError, UsageError
from medsr.core.types import Notify
from medsr.data import file_list
from medsr.data.depth import with_depth
from medsr.io.files import write_text
from medsr.metrics import perceptual
from medsr.networks import checkpoint
from medsr.recipe import Recipe
from medsr.training import validation
from medsr.training.degradations import strategy_of
from medsr.training.result import TrainingResult

DEFAULT_MINUTES = 5.0


def compare(
    names: Sequence[str | Path],
    data: str | Path | None = None,
    *,
    out: str | Path | None = None,
    minutes: float | None = DEFAULT_MINUTES,
    overrides: Sequence[str] = (),
    device: str = "auto",
    seed: int | None = None,
    json_file: str | Path | None = None,
    notify: Notify = lambda _: None,
    accept_new_data: bool = False,
) -> RecipeComparison:
    """Train several recipes for the same time and measure them alike.

    Called again with the same `out` it goes on where it stopped, with the same data. A recipe that fails costs no
    other.

    Args:
        names: Two or more recipe files, or names of recipes that come with medsr.
        data: The folder of ground truth, instead of the recipes'.
        out: A folder for the runs, compare.html and compare.json. None: a new one below `runs`.
        minutes: Of training for each, validation not counted. None: as long as each recipe says.
        overrides: `KEY=VALUE` for all recipes.
        device: `auto`, `cpu`, `cuda`, `cuda:1` or `mps`.
        seed: Of everything random, instead of the recipes'.
        json_file: A second place for compare.json.
        notify: Called with each line that a user should read.
        accept_new_data: As in `medsr.finetune`.

    Returns:
        What came of each recipe, and which failed.

    Raises:
        UsageError: Recipes cannot be compared, or none came to its end.
        StoppedError: Interrupted; called again, it goes on.

    Examples:
        >>> import medsr
        >>> comparison = medsr.compare(["recipe.yml", "other.yml"], "photographs", out="both", minutes=None)
        >>> len(comparison.entries)
        2
    """
    if len(names) < 2:
        raise UsageError("compare needs two recipes or more")
    budget = [f"minutes={minutes}"] if minutes is not None else []
    overridden = [*as_overrides(data, list(overrides), seed), *budget]
    first, line = with_depth(recipes.load(names[0], overridden))
    if line:  # the same for all of them
        notify(line)
        overridden.append(f"data.bits={first.data.bits}")
    candidates = [recipes.load(name, overridden) for name in names]
    check_comparable(candidates)
    folder = Path(out) if out else Path("runs") / f"compare-{time.strftime('%Y%m%d-%H%M%S')}"
    paths = same_held_out(candidates, folder, accept_new_data)
    held_out = strategy_of(candidates[0]).validation_samples(paths, candidates[0])
    metrics = validation.measures("psnr_y", *perceptual.at_hand())
    bicubic = validation.baseline_scores(held_out, metrics)
    entries: list[Entry] = []
    failed: list[Failed] = []
    pictures: dict[str, page.Shown] = {}
    for name, recipe in zip(names, candidates, strict=True):
        try:
            result = _train(name, recipe, folder, TrainingOptions(overridden, device, notify, accept_new_data))
        except StoppedError as error:
            raise StoppedError(f"{error}; or the same medsr compare with `out={folder}`", error.exit_code) from error
        except MedsrError as error:
            failed.append(Failed(recipe.name, str(error)))
            notify(f"{recipe.name}: {error}")
            continue
        except Exception as error:  # a bug of ours, or of a network in a GPU's memory, must not cost the others
            failed.append(Failed(recipe.name, f"{type(error).__name__}: {error}"))
            notify(f"{recipe.name}: {type(error).__name__}: {error}")
            continue
        runs = leaves(recipe, result)
        samples = strategy_of(recipe).validation_samples(paths, recipe)  # a refiner takes more than the slice
        for leaf in runs:
            model, parameters = _model(leaf, device)
            scores = validation.score(model, samples, recipe.scale, metrics)
            entries.append(Entry(leaf, parameters, scores, runs[0].result.start["psnr"], bicubic))
            pictures[leaf.name] = page.crops(model, samples, recipe.scale)
    if not entries:
        raise UsageError(f"no recipe came to its end: {failed[0].name}: {failed[0].reason}")
    comparison = RecipeComparison(tuple(entries), tuple(failed), bicubic, folder / "compare.html")
    shown = page.baseline_crops(held_out) | pictures
    summary = _summary(candidates, held_out, minutes)
    page.write(comparison.page, entries, failed, shown, summary)
    for path in (folder / "compare.json", json_file):
        if path is not None:
            write_text(Path(path), json.dumps(as_json(comparison, summary), indent=1) + "\n")
    return comparison


@dataclass(frozen=True)
class TrainingOptions:
    """How every recipe is trained."""

    changes: list[str]
    device: str
    notify: Notify
    accept_new_data: bool


def _train(name: str | Path, recipe: Recipe, folder: Path, options: TrainingOptions) -> TrainingResult:
    """The finished run of a recipe: found, gone on with, or made. Raises MedsrError."""
    run, notify, device = folder_of(folder, recipe), options.notify, options.device
    if (run / "recipe.yml").is_file():
        before = recipes.load(run / "recipe.yml")
        same = recipe.model_copy(update={"data": recipe.data.model_copy(update={"keep_masks": before.data.keep_masks})})
        if at_folders_of(before, same) != before:
            raise UsageError(f"{run}: holds the run of another recipe; give another `out`")
        if (result := TrainingResult.of(run)) is not None:
            notify(f"{recipe.name}: finished before")
            return result
        notify(f"{recipe.name}: goes on")
        moved = [] if same == before else _folders(recipe)
        return finetune(
            "", overrides=moved, resume=run, device=device, notify=notify, accept_new_data=options.accept_new_data
        )
    notify(f"{recipe.name}:")
    if (files := file_list.read(folder)) is not None:
        file_list.write(run, files)
    return finetune(name, out=run, overrides=options.changes, device=device, notify=notify)


def _folders(recipe: Recipe) -> list[str]:
    """The folders of data a recipe names, as overrides."""
    return [f"{key}={json.dumps(name)}" for key, name in file_list.folders_of(recipe).items()]


def _model(leaf: Leaf, device: str) -> tuple[validation.Predict, int]:
    net, spec = checkpoint.load(leaf.result.model)
    return validation.predictor("", net, spec, choose(device)), sum(parameter.numel() for parameter in net.parameters())


def _summary(
    candidates: list[Recipe], held_out: list[validation.ValidationSample], minutes: float | None
) -> page.ComparisonSummary:
    strategy = strategy_of(candidates[0])
    protocol, baseline = strategy.describe(candidates[0]), strategy.baseline
    budget = f"{minutes:g} minutes of training each" if minutes is not None else "each as long as its recipe says"
    names = tuple(sample.name for sample in held_out)
    as_yaml = {recipe.name: recipe.for_page() for recipe in candidates}
    starts = tuple(dict.fromkeys(filter(None, (recipe.start_from.generator for recipe in candidates))))
    return page.ComparisonSummary(protocol, baseline, budget, names, as_yaml, starts)
