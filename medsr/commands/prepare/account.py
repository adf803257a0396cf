"""A row of the manifest for every file written and every source left out, and what is not as expected."""

from __future__ import annotations

import glob
from collections.abc import Collection, Mapping, Sequence
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from medsr.batch import status
from medsr.batch.journal import Journal
from medsr.batch.outcome import Outcome
from medsr.commands.prepare.inspect_images import Inspection
from medsr.commands.prepare.source import Source
from medsr.commands.prepare.steps import SplitPlan
from medsr.commands.prepare.write_images import OutputFile, restored_files
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
    source: Source,
    inspections: Mapping[str, Inspection],
    plan: SplitPlan,
    outputs: Mapping[str, list[OutputFile]],
    errors: Mapping[str, MedsrError],
) -> tuple[list[manifest.ManifestRow], list[Outcome]]:
    """The manifest's rows, and the items that could not be used."""
    rows: list[manifest.ManifestRow] = []
    failed: list[Outcome] = []
    for item in source.items:
        inspection = inspections[item.id]
        subject = item.subject or item.id
        common = {"id": item.id, "subject": subject, "part": plan.split_of.get(item.id, ""), "card": card.name}
        for output in outputs.get(item.id, ()):
            rows.append(
                manifest.ManifestRow(
                    file=output.file,
                    role=output.role,
                    size=output.size,
                    original=output.original,
                    source=item.files[output.role][0],
                    source_sha256=inspection.hashes[output.role],
                    sha256=output.sha256,
                    bits=output.bits,
                    **common,
                )
            )
        if item.id in outputs:
            continue
        name = item.files[IMAGE][0]
        note = f"{SAME} {plan.duplicate_of[item.id]}" if item.id in plan.duplicate_of else ""
        if not note:
            note = _with_source_names(str(errors.get(item.id) or inspection.error), item, source)
            failed.append(Outcome(Path(name), Path(name), 0.0, InputError(note)))
        rows.append(
            manifest.ManifestRow(
                file="",
                role=IMAGE,
                size=inspection.size,
                original=False,
                source=name,
                source_sha256=inspection.hashes.get(IMAGE, ""),
                sha256="",
                note=note,
                **common,
            )
        )
    failed += [Outcome(Path(name), Path(name), 0.0, error) for name, error in source.broken]
    return manifest.ordered(rows), failed


def status_rows(rows: Sequence[manifest.ManifestRow]) -> list[status.StatusRow]:
    """The table of a batch: one line a source. No seconds: the folder's bytes must not depend on the day."""
    table: dict[str, status.StatusRow] = {}
    for row in rows:
        outcome = status.DONE if row.file or row.note.startswith(SAME) else status.FAILED
        hashes = (row.source_sha256, row.sha256)
        table.setdefault(row.source, status.StatusRow(row.source, outcome, row.note, "", row.file, *hashes))
    return list(table.values())


def _with_source_names(reason: str, item: LayoutItem, source: Source) -> str:
    """A reason with the names of the source, wherever its files were unpacked to."""
    for name in sorted((name for names in item.files.values() for name in names), key=len, reverse=True):
        reason = reason.replace(str(source.paths[name]), name)
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
            name = glob.escape(key.removeprefix("begin "))
            for folder in record["folders"]:
                matches = [*out.glob(f"{folder}/{name}.*"), *out.glob(f"{folder}/{name}@*")]
                earlier |= {path.relative_to(out).as_posix() for path in matches}
    for file in earlier - keep:
        (out / file).unlink(missing_ok=True)
    for path in out.glob("*/.*-*"):  # half-written files of a run that was killed
        path.unlink(missing_ok=True)
    here = (path.relative_to(out).as_posix() for part in PARTS for path in sorted((out / part).glob("*")))
    return [file for file in here if file not in keep]


def expectations(
    card: Card, source: Source, inspections: Mapping[str, Inspection], duplicates: Collection[str]
) -> list[str]:
    """Where the copy is not what the card expects."""
    notes = []
    expected, count = card.expected, len(source.items) - len(duplicates)
    if expected.images and count != expected.images:
        notes.append(f"{count} images found, a complete copy has {expected.images}")
    if expected.size:
        size = "x".join(map(str, expected.size))
        others = [item.id for item in source.items if inspections[item.id].size not in ("", size)]
        if others:
            first = f"{others[0]}, {inspections[others[0]].size}"
            notes.append(f"{len(others)} image(s) are not {size} as in the original (the first: {first})")
    for role in card.files:
        without = [item.id for item in source.items if role not in item.files]
        if 0 < len(without) < count:
            notes.append(f"{len(without)} image(s) have no {role.replace('_', ' ')} (the first: {without[0]})")
    if source.ignored:
        notes.append(
            f"{len(source.ignored)} other file(s) are not asked for by the card (the first: {source.ignored[0]})"
        )
    missing = [name for part, name in card.split.lists.items() if not source.lists.get(part)]
    if missing:
        notes.append(f"{' and '.join(missing)} not found: subjects are dealt out by seed instead")
    image_paths = {PurePosixPath(item.files[IMAGE][0].lower()) for item in source.items}
    image_names = {path.name for path in image_paths} | {path.stem for path in image_paths}
    for part, text in card.split.lists.items():
        if source.lists[part] and not source.lists[part] & image_names:
            notes.append(f"{text} names none of the images: it settles nothing")
    return notes
