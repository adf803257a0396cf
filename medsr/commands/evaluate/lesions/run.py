"""`medsr.evaluate_lesions`: what is left of lesions drawn into ground truth, model by model."""

from __future__ import annotations

import json as json_
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from medsr.batch.outcome import Outcome, run_safely
from medsr.batch.progress import progress
from medsr.commands.evaluate.case import Case, Item, Mask, Runner
from medsr.commands.evaluate.lesions import observe
from medsr.commands.evaluate.lesions.ground_truths import Choices, GroundTruths, ground_truths
from medsr.commands.evaluate.lesions.masks import find_mask, is_mask_name, leading_part, read_mask
from medsr.commands.evaluate.lesions.measure import Subject, SubjectFigures
from medsr.commands.evaluate.lesions.protocol import protocol
from medsr.commands.evaluate.lesions.result import GROUND_TRUTH, LesionEvaluation
from medsr.commands.evaluate.lesions.strips import PLACES, choose_strips
from medsr.commands.evaluate.provenance import about_model, versions
from medsr.commands.evaluate.run import check_writable, sample
from medsr.commands.evaluate.seen import seen_before
from medsr.core.devices import choose as choose_device
from medsr.core.errors import InputError, UsageError
from medsr.core.suggest import did_you_mean
from medsr.core.text import shown_lines
from medsr.core.types import Array, Notify
from medsr.engines.base import Compute
from medsr.engines.selection import as_stored
from medsr.io.files import write_text
from medsr.lesions.kinds import KINDS, Kind
from medsr.networks.bundled import model_for

ROUNDS: Mapping[Kind, int] = {"mri": 5, "cxr": 3, "fundus": 2}
"""How often lesions are drawn into each ground truth: few at once fit into white matter."""


@dataclass(frozen=True)
class Truth:
    """The ground truth as a model: nothing is lost."""

    sha256: None = None
    note: str = "what no model can be better than"

    def __call__(self, case: Case) -> Array:
        """Itself."""
        return case.ground_truth


@dataclass(frozen=True)
class Drawing:
    """What is drawn, and where readers' masks lie: `masks`, None for no masks; `data`: the folder of all images."""

    seed: int
    rounds: int
    masks: Path | None
    data: Path

    def mask(self, item: Item, shape: tuple[int, ...], notify: Notify) -> Mask | None:
        """Of an image that was cut to `shape`, colours aside. Raises InputError."""
        if self.masks is None:
            return None
        path = find_mask(item.image, self.masks, self.data)
        whole = read_mask(path, item.image, notify)
        return leading_part(whole, shape[: whole.ndim], path)


def evaluate_lesions(
    kind: Kind,
    data: str | Path,
    *,
    models: Sequence[str | Path] = (),
    out: str | Path | None = None,
    json: str | Path | None = None,
    scale: float | None = None,
    blur_sigma: float | None = None,
    pixel_mm: float | None = None,
    rounds: int | None = None,
    masks: str | Path | None = None,
    limit: int | None = None,
    device: str = "auto",
    tile: int | None = None,
    bits: int | None = None,
    seed: int = 0,
    notify: Notify = lambda _: None,
) -> LesionEvaluation:
    """Measure what models leave of lesions, beside interpolation and the ground truth itself.

    Lesions are drawn into ground truth. Every model sees each image with them and without; the difference is what is
    left of them.

    Args:
        kind: `mri`, `cxr` or `fundus`: what the images show, and so which lesions are drawn.
        data: A folder of ground truth: isotropic scans, radiographs, or fundus photographs.
        models: Names or files. Empty: the bundled one made for such images.
        out: A folder for report.html, lesions.md, figures.csv and scores.csv.
        json: A file for everything in JSON.
        scale: The factor to measure; of scans, through-plane. None: 4, of fundus photographs 2.
        blur_sigma: Of the Gaussian blur in pixels of the low resolution. None: 1. Not of scans.
        pixel_mm: Millimetres of the chest in a pixel of a radiograph. None: as its DICOM header says, else 0.4.
        rounds: How often lesions are drawn into each ground truth, 1 to 20. None: 5, of radiographs 3, of fundus
            photographs 2.
        masks: A folder of readers' lesion masks, named as the images with `_mask` behind. Their lesions are measured
            too.
        limit: So many images, drawn at random with seed 0. None: all.
        device: `auto`, `cpu`, `cuda`, `cuda:1` or `mps`.
        tile: As in `medsr.upscale`. Not of scans.
        bits: Bits stored in 16-bit images that do not say.
        seed: Of where and which lesions are drawn, from 0.
        notify: Called with each line that a user should read.

    Returns:
        Every figure by family, size and contrast, with intervals over images, and the images that failed.

    Raises:
        UsageError: An argument is wrong.
        WeightsError: A model cannot be opened.
        InputError: The folder is not what `kind` says, or no image can be measured.

    Examples:
        >>> import medsr
        >>> evaluation = medsr.evaluate_lesions("fundus", "whole_eyes", models=["bicubic", "lanczos"], rounds=1)
        >>> evaluation.unit
        'pixels'
    """
    rounds = ROUNDS.get(kind, 1) if rounds is None else rounds
    _check(kind, rounds, limit, seed, tile)
    check_writable(out, json, None)
    if masks is not None and not Path(masks).is_dir():
        raise UsageError(f"`masks={masks}`: not a folder; give the folder that holds the masks")
    chosen_device = choose_device(device)
    truths = ground_truths(kind, Path(data), Choices(scale, blur_sigma, pixel_mm, bits, chosen_device))
    every = _images(truths, Path(data), notify)
    items = sample(every, limit)
    truths.bench.settle(every, notify)
    wanted = [str(model) for model in models] or [model_for(truths.suits, truths.bench.scale)]
    runners = _open(truths, wanted, Compute(chosen_device), tile)
    notify(f"lesions: {len(items)} image{'s' if len(items) > 1 else ''}, {', '.join(runners)}")
    seen = seen_before(wanted, items)
    for line in seen:
        notify(f"warning: {line}")
    drawing = Drawing(seed, rounds, None if masks is None else Path(masks), Path(data))
    subjects, failed = _measure(truths, items, runners, drawing, notify)
    if not subjects:
        error = failed[0].error
        assert error is not None
        raise error
    scores = [score for subject in subjects for score in subject.scores] + list(
        observe.observe(subjects, list(runners))
    )
    names = [subject.id for subject in subjects]
    result = LesionEvaluation(
        kind,
        truths.unit,
        truths.per,
        {**protocol(truths, names, rounds, seed), "drawn": f"{limit} at random, seed 0" if limit else "all"},
        truths.bench.baseline,
        {name: about_model(runner) for name, runner in runners.items()},
        scores,
        failed,
        versions(chosen_device),
        places={subject.id: subject.picture for subject in subjects if subject.picture is not None},
        real=[lesion for subject in subjects for lesion in subject.real],
        seen=seen,
    )
    result = replace(result, strips=choose_strips([strip for subject in subjects for strip in subject.strips], result))
    _write(result, Path(data), out, json)
    return result


def _images(truths: GroundTruths, data: Path, notify: Notify) -> list[Item]:
    """Those that are not masks by their names; those that are, are said. Raises InputError."""
    items = truths.bench.items()
    images = [item for item in items if not is_mask_name(item.image)]
    if not images:
        raise InputError(f"{data}: only masks; expected the images they belong to")
    if masks := len(items) - len(images):
        notify(f"{data}: not measured: {masks} mask{'s' if masks > 1 else ''}, by name")
    return images


def _check(kind: str, rounds: int, limit: int | None, seed: int, tile: int | None) -> None:
    """Raise UsageError for what cannot be meant."""
    if kind not in KINDS:
        raise UsageError(f"`kind={kind}`: expected {', '.join(KINDS)}{did_you_mean(kind, KINDS)}")
    if not 1 <= rounds <= 20:
        raise UsageError(f"`rounds={rounds}`: expected a number from 1 to 20")
    if limit is not None and limit < 1:
        raise UsageError(f"`limit={limit}`: expected a number of images from 1")
    if seed < 0:
        raise UsageError(f"`seed={seed}`: expected a number from 0")
    if kind == "mri" and tile is not None:
        raise UsageError("`tile`: scans run in whole slices; leave it out with `kind=mri`")


def _open(truths: GroundTruths, models: Sequence[str], compute: Compute, tile: int | None) -> dict[str, Runner]:
    """The ground truth, the baseline, then the models, each once. Raises UsageError or WeightsError."""
    runners: dict[str, Runner] = {GROUND_TRUTH: Truth()}
    for model in dict.fromkeys([truths.bench.baseline, *models]):
        name = Path(model).name if Path(model).is_file() else model
        runners[model if name in runners else name] = truths.bench.open(model, as_stored(model, compute), tile)
    return runners


def _measure(
    truths: GroundTruths, items: Sequence[Item], runners: Mapping[str, Runner], drawing: Drawing, notify: Notify
) -> tuple[list[SubjectFigures], list[Outcome]]:
    subjects: list[SubjectFigures] = []
    failed: list[Outcome] = []

    def measure(item: Item) -> tuple[str, ...]:
        case = truths.bench.load(item)
        mask = drawing.mask(item, case.ground_truth.shape, notify)
        try:
            subject = Subject(truths, case, drawing.seed, drawing.rounds, mask)
        except InputError as error:
            raise InputError(f"{item.image}: {error}") from error
        subjects.append(subject.measure(runners))
        if len(subjects) > PLACES:
            subjects[-1].picture = None
        return ()

    with progress("evaluate", len(items)) as update:
        for done, item in enumerate(items, 1):
            outcome = run_safely(item.image, item.image, partial(measure, item))
            if outcome.error:
                failed.append(outcome)
            update(done, item.id)
    return subjects, failed


def _write(result: LesionEvaluation, data: Path, out: str | Path | None, json: str | Path | None) -> None:
    if json is not None:
        write_text(Path(json), json_.dumps(result.to_json(), indent=1, allow_nan=False) + "\n")
    if out is not None:
        from medsr.commands.evaluate.lesions import page, tables

        folder = Path(out)
        write_text(folder / "lesions.md", shown_lines(tables.markdown(result)))
        write_text(folder / "figures.csv", tables.csv_of_figures(result))
        write_text(folder / "scores.csv", tables.csv_of_scores(result))
        page.write(folder / "report.html", result, data)
