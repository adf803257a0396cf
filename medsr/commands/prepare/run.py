"""`medsr.prepare`: a data set as its owner ships it to ground truth, split by subject, with its manifest."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import yaml

from medsr.batch import status
from medsr.batch.journal import Journal
from medsr.batch.outcome import Outcome
from medsr.batch.workers import workers as pool_of
from medsr.commands.prepare import account, page, steps
from medsr.commands.prepare import source as sources
from medsr.core import control_groups
from medsr.core.errors import InputError, UsageError
from medsr.core.text import shown_lines
from medsr.core.types import Notify
from medsr.data import cards, manifest
from medsr.data.cards import IMAGE, Card
from medsr.data.depth import SettledDepth, depth_of
from medsr.io.files import write_text
from medsr.io.lock import NAME as LOCK
from medsr.io.lock import HeldError, held
from medsr.io.places import check_folder

SETTINGS = "prepare.yml"
WORK = ".work"
SUMMARY = "summary.html"
DECISIVE = ("name", "kind", "files", "split", "ground_truth")
"""What of a card decides about bytes."""


@dataclass(frozen=True)
class Prepared:
    """`rows`: the manifest; `failed`: what could not be used; `notes`: what the user should know."""

    out: Path
    card: Card
    rows: Sequence[manifest.ManifestRow]
    failed: Sequence[Outcome]
    notes: Sequence[str]


def prepare(
    card: str | Path,
    source: str | Path,
    *,
    out: str | Path,
    workers: int | None = None,
    overrides: Sequence[str] = (),
    notify: Notify = lambda _: None,
) -> Prepared:
    """Make ground truth for training of a public data set.

    Interrupted and called again, it goes on and ends with the same bytes.

    Args:
        card: The name of a data card that comes with medsr, or a card's file.
        source: The download: a folder or an archive.
        out: The folder for train, validation, test, manifest.csv and summary.html.
        workers: Processes, at least 1. None: the cores, at most 4.
        overrides: `KEY=VALUE` for the card, such as `ground_truth.crop=256`.
        notify: Called with each line that a user should read.

    Returns:
        What was made. Images that cannot be used are named in `failed`.

    Raises:
        UsageError: The card or an argument is wrong.
        InputError: The folder is not the data set, or an archive is not safe.

    Examples:
        >>> import medsr
        >>> prepared = medsr.prepare("card.yml", "photographs", out="ground-truth", workers=1)
        >>> prepared.failed
        []
    """
    if workers is not None and workers < 1:
        raise UsageError(f"`workers={workers}`: expected at least 1")
    data_card = cards.load(card, overrides)
    folder = Path(out)
    if not str(source) or not str(out):
        raise UsageError("`source` and `out`: expected folders, one of them is empty")
    if not Path(source).exists():
        raise InputError(f"{source}: no such folder or archive")
    if Path(os.path.realpath(source)).is_relative_to(os.path.realpath(folder)):
        raise UsageError(f"`out={out}`: holds the source itself; choose another folder")
    _check(data_card, folder)
    with _alone(folder):
        _check(data_card, folder)
        return _prepare(data_card, Path(source), folder, workers, notify)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Hold the folder of results, which is made for it. Raises UsageError where another command is at work there."""
    new = not folder.exists()
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with held(folder, wait=False):
            yield
    except HeldError as error:
        raise UsageError(f"{folder}: another medsr prepare is at work there; wait for it") from error
    finally:
        if new:
            with suppress(OSError):  # nothing was made in it
                folder.rmdir()


def _prepare(card: Card, path: Path, folder: Path, workers: int | None, notify: Notify) -> Prepared:
    source = sources.collect(card, path, folder, folder / WORK, notify)
    write_text(folder / SETTINGS, _settings(card))
    depth = _depth(card, source)
    card = card.model_copy(update={"ground_truth": card.ground_truth.model_copy(update={"bits": depth.bits})})
    journal = Journal(folder / WORK / "journal.jsonl")
    before = manifest.read(folder) or []
    account.check_records(folder, journal, before)
    with pool_of(workers or min(4, control_groups.cores())) as pool:
        inspections = steps.inspect_all(card, source, journal, pool)
        plan = steps.plan_splits(card, source, inspections)
        outputs, errors = steps.write_all(card, source, inspections, plan, journal, pool, folder, before)
    rows, failed = account.rows_of(card, source, inspections, plan, outputs, errors)
    if not any(row.file for row in rows):
        raise InputError(f"{path}: none of its {len(source.items)} images could be used; the first: {failed[0].error}")
    foreign = account.sweep(folder, {row.file for row in rows}, journal, before)
    notes = [*account.expectations(card, source, inspections, plan.duplicate_of), *plan.notes]
    notes += [f"{depth.line} (ground_truth.bits says otherwise)"] if depth.line else []
    if foreign:
        notes.append(f"{len(foreign)} file(s) in {folder} are not of this data set (the first: {foreign[0]})")
    result = Prepared(folder, card, rows, failed, notes)
    write_text(folder / manifest.NAME, manifest.render(rows))
    write_text(folder / status.NAME, status.render(account.status_rows(rows)))
    page.write(folder / SUMMARY, card, result.rows, result.notes, folder)
    shutil.rmtree(folder / WORK, ignore_errors=True)
    return result


def _depth(card: Card, source: sources.Source) -> SettledDepth:
    """Of 16-bit images that do not declare it: what the card says, or what is decided for all of them together."""
    if card.kind == "volumes":
        return SettledDepth(None)
    names = (item.files[IMAGE][0] for item in source.items)
    return depth_of(card.ground_truth.bits, None, (source.paths[name] for name in names))


def _check(card: Card, folder: Path) -> None:
    """Raise UsageError for a folder that is somebody's, or that was begun with another card or other settings."""
    settings = folder / SETTINGS
    check_folder(folder)
    if settings.is_file():
        try:
            other = cards.load(settings)
        except UsageError as error:
            raise UsageError(f"`out={folder}`: its {SETTINGS} cannot be read; choose another folder") from error
        if any(getattr(other, key) != getattr(card, key) for key in DECISIVE):
            raise UsageError(f"`out={folder}`: was prepared with another card or other settings; choose another folder")
    elif folder.is_dir() and any(path.name not in (WORK, LOCK) for path in folder.iterdir()):
        raise UsageError(f"`out={folder}`: holds other files; choose a new or an empty folder")


def _settings(card: Card) -> str:
    fields = card.model_dump(mode="json")
    text = str(yaml.safe_dump(fields, sort_keys=False, allow_unicode=True, width=120))
    if text == shown_lines(text):
        return text
    return str(yaml.safe_dump(fields, sort_keys=False, width=120))  # letters that turn text around are spelt out
