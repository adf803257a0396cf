"""The steps of preparing: inspect every item, plan its split, write its files. Each goes on where it stopped."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from medsr.batch.journal import Journal, stamp
from medsr.batch.outcome import as_error
from medsr.batch.workers import run_jobs
from medsr.commands.prepare import duplicates, splits
from medsr.commands.prepare.inspect_images import Inspection, from_record, inspect_item
from medsr.commands.prepare.source import Source
from medsr.commands.prepare.write_images import OutputFile, Task, restored_files, write_item
from medsr.core.errors import InputError, MedsrError
from medsr.data import manifest
from medsr.data.cards import IMAGE, Card
from medsr.io.files import sha256
from medsr.io.images.dicom_image import patient_of


def inspect_all(card: Card, source: Source, journal: Journal, pool: Executor | None) -> dict[str, Inspection]:
    """The inspection of every item, by its id."""
    inspections: dict[str, Inspection] = {}
    jobs: dict[str, Callable[[], Any]] = {}
    stamps: dict[str, str] = {}
    for item in source.items:
        files = {role: [source.paths[name] for name in names] for role, names in item.files.items()}
        bits = card.ground_truth.bits
        stamps[item.id] = stamp(path for paths in files.values() for path in paths) + (f" {bits}" if bits else "")
        record = journal.records.get(f"look {item.id}")
        unchanged = record is not None and record.get("stamp") == stamps[item.id]
        if record and unchanged and (inspection := from_record(record.get("look"), item.files)) is not None:
            inspections[item.id] = inspection
        else:
            jobs[item.id] = partial(inspect_item, files, card.kind, bits)

    def store(item_id: str, inspection: Inspection) -> None:
        inspections[item_id] = inspection
        journal.add(f"look {item_id}", {"stamp": stamps[item_id], "look": vars(inspection)})

    run_jobs("looking", jobs, pool, store)
    return inspections


NO_SUBJECT = (
    "the names tell no subject: every file counts as a subject of its own (where people have several, say {subject} in "
    "a copy of the card)"
)


@dataclass(frozen=True)
class SplitPlan:
    """`split_of`: train, validation or test, of every item that is used.

    `duplicate_of`: an item that is left out -> the one whose pixels it has.
    """

    split_of: dict[str, str]
    duplicate_of: dict[str, str]
    notes: list[str]


def plan_splits(card: Card, source: Source, inspections: Mapping[str, Inspection]) -> SplitPlan:
    """Leave out exact duplicates, assign the others to splits by subject."""
    readable = {item_id: inspection for item_id, inspection in inspections.items() if not inspection.error}
    duplicate_of = duplicates.exact(readable)
    lookalikes = duplicates.near(readable)
    used = [item for item in source.items if item.id in readable]
    headers = {item.id: source.paths[item.files[IMAGE][0]] for item in used if readable[item.id].dicom}
    # Read anew every time: not even a hash of a patient's number is kept.
    patients = {item_id: patient for item_id, path in headers.items() if (patient := patient_of(path))}
    split_of, notes = splits.assign_splits(
        used, card.split, source.lists, patients, [*lookalikes, *duplicate_of.items()]
    )
    if duplicate_of:
        first = next(iter(duplicate_of.items()))
        notes.append(
            f"{len(duplicate_of)} image(s) left out: same pixels as another (the first: {first[0]} is {first[1]})"
        )
    subject = {item.id: item.subject or item.id for item in used}
    close = [pair for pair in lookalikes if not set(pair) & set(duplicate_of) and subject[pair[0]] != subject[pair[1]]]
    if close:
        notes.append(
            f"{len(close)} pair(s) of different subjects look the same (the first: {close[0][0]} and {close[0][1]}); "
            "kept in one part"
        )
    shared = len(patients) - len(set(patients.values()))
    if shared:
        notes.append(f"{len(patients)} DICOM images are of {len(set(patients.values()))} patient(s) by their headers")
    if card.tells_nobody and not patients:
        notes.append(NO_SUBJECT)
    return SplitPlan(
        {item_id: split for item_id, split in split_of.items() if item_id not in duplicate_of}, duplicate_of, notes
    )


def write_all(
    card: Card,
    source: Source,
    inspections: Mapping[str, Inspection],
    plan: SplitPlan,
    journal: Journal,
    pool: Executor | None,
    out: Path,
    before: Sequence[manifest.ManifestRow],
) -> tuple[dict[str, list[OutputFile]], dict[str, MedsrError]]:
    """The files of every item of the plan, and what went wrong with the others.

    `before`: the manifest of a finished run. A file that it or the journal names, and that is unchanged, is not written
    again.
    """
    finished = _finished(before)
    outputs: dict[str, list[OutputFile]] = {}
    errors: dict[str, MedsrError] = {}
    jobs: dict[str, Callable[[], Any]] = {}
    inputs: dict[str, Any] = {}
    for item in source.items:
        if item.id not in plan.split_of:
            continue
        bits = card.ground_truth.bits
        inputs[item.id] = [inspections[item.id].hashes, plan.split_of[item.id], *([bits] if bits else [])]
        record = journal.records.get(f"make {item.id}") or finished.get(item.id)
        earlier = restored_files(record["made"]) if record and record.get("of") == inputs[item.id] else []
        if {file.role for file in earlier} == set(item.files) and _intact(earlier, out):
            outputs[item.id] = earlier
        else:
            files = {role: source.paths[names[0]] for role, names in item.files.items()}
            task = Task(item.id, plan.split_of[item.id], card.kind, files, card.ground_truth)
            jobs[item.id] = partial(_write_safely, task, out)
            journal.add(f"begin {item.id}", {"folders": [task.split, *files]})

    def store(item_id: str, result: list[OutputFile] | MedsrError) -> None:
        if isinstance(result, MedsrError):
            errors[item_id] = result
            return
        outputs[item_id] = result
        journal.add(f"make {item_id}", {"of": inputs[item_id], "made": [asdict(file) for file in result]})

    run_jobs("making", jobs, pool, store)
    return outputs, errors


def _write_safely(task: Task, out: Path) -> list[OutputFile] | MedsrError:
    """What one item gives, or why it gives nothing. Raises OSError where the folder of results cannot be written."""
    try:
        return write_item(task, out)
    except OSError as error:
        if error.filename not in {str(path) for path in task.files.values()}:
            raise  # the disk is full, say: no other item could be written either
        return InputError(f"{error.filename}: cannot be read: {error.strerror or error}")
    except Exception as error:
        return as_error(error, task.files[IMAGE])


def _finished(before: Sequence[manifest.ManifestRow]) -> dict[str, Any]:
    """What a finished run made, in the journal's form."""
    records: dict[str, Any] = {}
    for row in before:
        if row.file:
            bits = [settled] if (settled := manifest.bits_of(before)) else []
            record = records.setdefault(row.id, {"of": [{}, row.part, *bits], "made": []})
            record["of"][0][row.role] = row.source_sha256
            names = ("file", "role", "size", "original", "sha256", "bits")
            record["made"].append({name: getattr(row, name) for name in names})
    return records


def _intact(files: Sequence[OutputFile], out: Path) -> bool:
    return all(os.path.isfile(out / file.file) and sha256(out / file.file) == file.sha256 for file in files)
