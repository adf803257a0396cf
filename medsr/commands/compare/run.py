"""`medsr compare`: train several recipes on the same images under the same budget, and write one page."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from medsr import recipe as recipes
from medsr.commands.compare import page
from medsr.commands.compare.entry import Entry, Failed, Leaf, folder_of, leaves
from medsr.commands.finetune import at_folders_of, finetune, given
from medsr.core.devices import choose
from medsr.core.errors import MedsrError, StoppedError, UsageError
from medsr.core.types import Notify
from medsr.data import changes, file_list
from medsr.data.depth import with_depth
from medsr.io.files import write_text
from medsr.metrics import perceptual
from medsr.metrics.bootstrap import IntervalSummary, summarize
from medsr.networks import checkpoint
from medsr.recipe import Recipe
from medsr.recipe.degradation import low_resolution_folder
from medsr.training import validation
from medsr.training.degradations import strategy_of
from medsr.training.result import TrainingResult
from medsr.training.trainer import find_files

DEFAULT_MINUTES = 5.0


@dataclass(frozen=True)
class Comparison:
    """`entries`: a recipe, or each of its stages. `bicubic`: interpolation, on the same images. `page`: the HTML."""

    entries: tuple[Entry, ...]
    failed: tuple[Failed, ...]
    bicubic: validation.Scores
    page: Path


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
) -> Comparison:
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
    overridden = [*given(data, list(overrides), seed), *budget]
    first, line = with_depth(recipes.load(names[0], overridden))
    if line:  # the same for all of them
        notify(line)
        overridden.append(f"data.bits={first.data.bits}")
    chosen = [recipes.load(name, overridden) for name in names]
    _check_comparable(chosen)
    folder = Path(out) if out else Path("runs") / f"compare-{time.strftime('%Y%m%d-%H%M%S')}"
    paths = _same_held_out(chosen, folder, accept_new_data)
    held_out = strategy_of(chosen[0]).validation_samples(paths, chosen[0])
    by = validation.measures("psnr_y", *perceptual.at_hand())
    bicubic = validation.baseline_scores(held_out, by)
    entries: list[Entry] = []
    failed: list[Failed] = []
    pictures: dict[str, page.Shown] = {}
    for name, recipe in zip(names, chosen, strict=True):
        try:
            result = _trained(name, recipe, folder, Going(overridden, device, notify, accept_new_data))
        except StoppedError as error:
            raise StoppedError(f"{error}; or the same medsr compare with --out {folder}", error.exit_code) from error
        except MedsrError as error:
            failed.append(Failed(recipe.name, str(error)))
            notify(f"{recipe.name}: {error}")
            continue
        except Exception as error:  # a bug of ours, or of a network in a GPU's memory, must not cost the others
            failed.append(Failed(recipe.name, f"{type(error).__name__}: {error}"))
            notify(f"{recipe.name}: {type(error).__name__}: {error}")
            continue
        parts = leaves(recipe, result)
        mine = strategy_of(recipe).validation_samples(paths, recipe)  # a refiner takes more than the slice
        for leaf in parts:
            model, parameters = _model(leaf, device)
            scores = validation.score(model, mine, recipe.scale, by)
            entries.append(Entry(leaf, parameters, scores, parts[0].result.start["psnr"], bicubic))
            pictures[leaf.name] = page.crops(model, mine, recipe.scale)
    if not entries:
        raise UsageError(f"no recipe came to its end: {failed[0].name}: {failed[0].reason}")
    comparison = Comparison(tuple(entries), tuple(failed), bicubic, folder / "compare.html")
    shown = page.baseline_crops(held_out) | pictures
    told = _told(chosen, held_out, minutes)
    page.write(comparison.page, entries, failed, shown, told)
    for path in (folder / "compare.json", json_file):
        if path is not None:
            write_text(Path(path), json.dumps(_as_json(comparison, told), indent=1) + "\n")
    return comparison


@dataclass(frozen=True)
class Going:
    """How every recipe is trained."""

    changes: list[str]
    device: str
    notify: Notify
    accept_new_data: bool


def _trained(name: str | Path, recipe: Recipe, folder: Path, going: Going) -> TrainingResult:
    """The finished run of a recipe: found, gone on with, or made. Raises MedsrError."""
    place, notify, device = folder_of(folder, recipe), going.notify, going.device
    if (place / "recipe.yml").is_file():
        before = recipes.load(place / "recipe.yml")
        same = recipe.model_copy(update={"data": recipe.data.model_copy(update={"keep_masks": before.data.keep_masks})})
        if at_folders_of(before, same) != before:
            raise UsageError(f"{place}: holds the run of another recipe; give another --out")
        if (done := TrainingResult.of(place)) is not None:
            notify(f"{recipe.name}: finished before")
            return done
        notify(f"{recipe.name}: goes on")
        moved = [] if same == before else _folders(recipe)
        return finetune(
            "", overrides=moved, resume=place, device=device, notify=notify, accept_new_data=going.accept_new_data
        )
    notify(f"{recipe.name}:")
    if (known := file_list.read(folder)) is not None:
        file_list.write(place, known)
    return finetune(name, out=place, overrides=going.changes, device=device, notify=notify)


def _folders(recipe: Recipe) -> list[str]:
    """The folders of data a recipe names, as overrides."""
    return [f"{key}={json.dumps(name)}" for key, name in file_list.folders_of(recipe).items()]


def _check_comparable(chosen: list[Recipe]) -> None:
    first = chosen[0]
    names = [recipe.name for recipe in chosen]
    if len(set(names)) < len(names):
        raise UsageError(f"compare: every recipe once, got {', '.join(names)}")
    for recipe in chosen:
        for part in [recipe, *(recipe.stage(index) for index in range(len(recipe.stages)))]:
            for key, one, other in (
                ("scale", part.scale, first.scale),
                ("channels", part.channels, first.channels),
                ("protocol", strategy_of(part).describe(part), strategy_of(first).describe(first)),
                ("data.train", part.data.train, first.data.train),
                (
                    "degradation.low_resolution",
                    low_resolution_folder(part.degradation),
                    low_resolution_folder(first.degradation),
                ),
                ("data.validation", part.data.validation, first.data.validation),
                ("data.bits", part.data.bits, first.data.bits),
                ("data.pattern", part.data.pattern, first.data.pattern),
                ("seed", part.seed, first.seed),
                ("volumes", part.thick_slices is not None, first.thick_slices is not None),
            ):
                if one != other:
                    raise UsageError(
                        f"compare: {part.name} and {first.name} differ in {key} ({one} and {other}); "
                        "--set KEY=VALUE changes all"
                    )


def _same_held_out(chosen: list[Recipe], folder: Path, accept_new_data: bool) -> tuple[Path, ...]:
    """The images all are measured on: those of the list in `folder`, else drawn, and written down there.

    Raises UsageError where there are none, or not the same.
    """
    changes.settle(folder, chosen[0], accept_new_data)
    known = file_list.of(folder, chosen[0])
    splits = [find_files(recipe, known) for recipe in chosen]
    found = [split.held_out for split in splits]
    if not found[0]:
        raise UsageError("compare: data.validation is 0, there is nothing to measure on")
    for recipe, paths in zip(chosen, found, strict=True):
        if paths != found[0]:
            raise UsageError(
                f"compare: {recipe.name} holds out other images than {chosen[0].name} (some are too small for one's "
                "crop); name them: --set data.validation=FOLDER_OR_PATTERN"
            )
    file_list.write(folder, file_list.of_split(chosen[0], splits[0], known))
    return found[0]


def _model(leaf: Leaf, device: str) -> tuple[validation.Predict, int]:
    net, spec = checkpoint.load(leaf.result.model)
    return validation.predictor("", net, spec, choose(device)), sum(one.numel() for one in net.parameters())


def _told(chosen: list[Recipe], held_out: list[validation.ValidationSample], minutes: float | None) -> page.Told:
    strategy = strategy_of(chosen[0])
    protocol, baseline = strategy.describe(chosen[0]), strategy.baseline
    budget = f"{minutes:g} minutes of training each" if minutes is not None else "each as long as its recipe says"
    names = tuple(one.name for one in held_out)
    return page.Told(protocol, baseline, budget, names, {one.name: one.for_page() for one in chosen})


def _as_json(comparison: Comparison, told: page.Told) -> dict[str, Any]:
    """As `medsr evaluate` writes it, and the runs."""
    scores = {told.baseline: comparison.bicubic} | {one.leaf.name: one.scores for one in comparison.entries}
    return {
        "benchmark": "compare",
        "protocol": {"low_resolution": told.protocol, "budget": told.budget, "recipes": dict(told.recipes)},
        "n": len(told.images),
        "models": {
            name: {metric: _interval(summarize(values)) for metric, values in one.per_image.items()}
            for name, one in scores.items()
        },
        "images": [
            {"id": image, "model": name, **{metric: values[index] for metric, values in one.per_image.items()}}
            for name, one in scores.items()
            for index, image in enumerate(told.images)
        ],
        "runs": {
            one.leaf.name: {
                "parameters": one.parameters,
                "iterations": one.leaf.result.iterations,
                "seconds": one.leaf.result.seconds,
                "start_psnr": one.started,
                "psnr_over_baseline": _interval(one.gain),
            }
            for one in comparison.entries
        },
        "failed": [asdict(one) for one in comparison.failed],
    }


def _interval(summary: IntervalSummary) -> dict[str, Any]:
    return {"mean": summary.mean, "ci95": [summary.low, summary.high], "n": summary.n}
