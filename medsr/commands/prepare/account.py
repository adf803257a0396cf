"""Giving account: a row of the manifest for every file made and every source left out, and what is not as expected."""

from __future__ import annotations

import glob
from collections.abc import Collection, Mapping, Sequence
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from medsr.batch import status
from medsr.batch.journal import Journal
from medsr.batch.outcome import Outcome
from medsr.commands.prepare.inspect_images import Look
from medsr.commands.prepare.source import Source
from medsr.commands.prepare.steps import Plan
from medsr.commands.prepare.write_images import Made, restored_files
from medsr.core.errors import InputError, MedsrError, UsageError
from medsr.data import manifest
from medsr.data.cards import IMAGE, PARTS, Card
from medsr.data.layout import LayoutItem
from medsr.io.confined import is_confined

if TYPE_CHECKING:
    from pydantic import TypeAdapter

SAME = "same pixels as"


def rows_of(
    card: Card,
    found: Source,
    looks: Mapping[str, Look],
    plan: Plan,
    made: Mapping[str, list[Made]],
    unmade: Mapping[str, MedsrError],
) -> tuple[list[manifest.ManifestRow], list[Outcome]]:
    """The manifest's rows, and the items that could not be used."""
    rows: list[manifest.ManifestRow] = []
    failed: list[Outcome] = []
    for item in found.items:
        seen = looks[item.id]
        subject = item.subject or item.id
        common = {"id": item.id, "subject": subject, "part": plan.part.get(item.id, ""), "card": card.name}
        for one in made.get(item.id, ()):
            rows.append(
                manifest.ManifestRow(
                    file=one.file,
                    role=one.role,
                    size=one.size,
                    original=one.original,
                    source=item.files[one.role][0],
                    source_sha256=seen.hashes[one.role],
                    sha256=one.sha256,
                    bits=one.bits,
                    **common,
                )
            )
        if item.id in made:
            continue
        name = item.files[IMAGE][0]
        note = f"{SAME} {plan.same[item.id]}" if item.id in plan.same else ""
        if not note:
            note = _told(str(unmade.get(item.id) or seen.error), item, found)
            failed.append(Outcome(Path(name), Path(name), 0.0, InputError(note)))
        rows.append(
            manifest.ManifestRow(
                file="",
                role=IMAGE,
                size=seen.size,
                original=False,
                source=name,
                source_sha256=seen.hashes.get(IMAGE, ""),
                sha256="",
                note=note,
                **common,
            )
        )
    failed += [Outcome(Path(name), Path(name), 0.0, error) for name, error in found.broken]
    return manifest.ordered(rows), failed


def status_rows(rows: Sequence[manifest.ManifestRow]) -> list[status.StatusRow]:
    """The table of a batch: one line a source. No seconds: the folder's bytes must not depend on the day."""
    table: dict[str, status.StatusRow] = {}
    for row in rows:
        outcome = status.DONE if row.file or row.note.startswith(SAME) else status.FAILED
        hashes = (row.source_sha256, row.sha256)
        table.setdefault(row.source, status.StatusRow(row.source, outcome, row.note, "", row.file, *hashes))
    return list(table.values())


def _told(reason: str, item: LayoutItem, found: Source) -> str:
    """A reason with the names of the source, wherever its files were unpacked to."""
    for name in sorted((name for names in item.files.values() for name in names), key=len, reverse=True):
        reason = reason.replace(str(found.places[name]), name)
    return reason


def check_records(out: Path, journal: Journal, before: Sequence[manifest.ManifestRow]) -> None:
    """Raise UsageError where what is kept in `out` names files or folders outside of it: they are removed by name."""
    names = {row.file for row in before if row.file}
    try:
        for key, record in journal.records.items():
            if key.startswith("make "):
                names |= {file.file for file in restored_files(record.get("made"))}
            if key.startswith("begin "):
                folders = _names().validate_python(record.get("folders"))
                names |= {f"{folder}/{key.removeprefix('begin ')}" for folder in folders}
        strange = sorted(name for name in names if not is_confined(out, name))
    except ValueError as error:
        raise UsageError(f"{out}: what an earlier run kept there is damaged; choose another folder") from error
    if strange:
        raise UsageError(f"{out}: what is kept there names files elsewhere ({strange[0]}); choose another folder")


@lru_cache(1)
def _names() -> TypeAdapter[list[str]]:
    from pydantic import TypeAdapter

    return TypeAdapter(list[str])


def sweep(out: Path, keep: set[str], journal: Journal, before: Sequence[manifest.ManifestRow]) -> list[str]:
    """Remove what earlier runs made, or began to make, and this one does not have; the files that are nobody's.

    An image must not stay in its old part, nor half of one that is gone from the source.
    """
    earlier = {row.file for row in before if row.file}
    for key, record in journal.records.items():
        if key.startswith("make "):
            earlier |= {file.file for file in restored_files(record["made"])}
        if key.startswith("begin "):
            one = glob.escape(key.removeprefix("begin "))
            for folder in record["folders"]:
                found = [*out.glob(f"{folder}/{one}.*"), *out.glob(f"{folder}/{one}@*")]
                earlier |= {path.relative_to(out).as_posix() for path in found}
    for file in earlier - keep:
        (out / file).unlink(missing_ok=True)
    for path in out.glob("*/.*-*"):  # half-written files of a run that was killed
        path.unlink(missing_ok=True)
    here = (path.relative_to(out).as_posix() for part in PARTS for path in sorted((out / part).glob("*")))
    return [file for file in here if file not in keep]


def expectations(card: Card, found: Source, looks: Mapping[str, Look], same: Collection[str]) -> list[str]:
    """Where the copy is not what the card expects."""
    notes = []
    expected, there = card.expected, len(found.items) - len(same)
    if expected.images and there != expected.images:
        notes.append(f"{there} images found, a complete copy has {expected.images}")
    if expected.size:
        size = "x".join(map(str, expected.size))
        others = [item.id for item in found.items if looks[item.id].size not in ("", size)]
        if others:
            first = f"{others[0]}, {looks[others[0]].size}"
            notes.append(f"{len(others)} image(s) are not {size} as in the original (the first: {first})")
    for role in card.files:
        without = [item.id for item in found.items if role not in item.files]
        if 0 < len(without) < there:
            notes.append(f"{len(without)} image(s) have no {role.replace('_', ' ')} (the first: {without[0]})")
    if found.ignored:
        notes.append(
            f"{len(found.ignored)} other file(s) are not asked for by the card (the first: {found.ignored[0]})"
        )
    missing = [name for part, name in card.split.lists.items() if not found.lists.get(part)]
    if missing:
        notes.append(f"{' and '.join(missing)} not found: subjects are dealt out by seed instead")
    there_are = {PurePosixPath(item.files[IMAGE][0].lower()) for item in found.items}
    known = {path.name for path in there_are} | {path.stem for path in there_are}
    for part, text in card.split.lists.items():
        if found.lists[part] and not found.lists[part] & known:
            notes.append(f"{text} names none of the images: it settles nothing")
    return notes
