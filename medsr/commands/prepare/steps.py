"""The steps of preparing: look at every item, plan where it goes, make what it gives. Each goes on where it stopped."""

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
from medsr.commands.prepare.inspect_images import Look, look, restored
from medsr.commands.prepare.source import Source
from medsr.commands.prepare.write_images import Made, Task, make, restored_files
from medsr.core.errors import InputError, MedsrError
from medsr.data import manifest
from medsr.data.cards import IMAGE, Card
from medsr.io.files import sha256
from medsr.io.images.dicom_image import patient_of


def look_all(card: Card, found: Source, journal: Journal, pool: Executor | None) -> dict[str, Look]:
    """What is known of every item, by its id."""
    looks: dict[str, Look] = {}
    jobs: dict[str, Callable[[], Any]] = {}
    stamps: dict[str, str] = {}
    for item in found.items:
        files = {role: [found.places[name] for name in names] for role, names in item.files.items()}
        bits = card.ground_truth.bits
        stamps[item.id] = stamp(path for paths in files.values() for path in paths) + (f" {bits}" if bits else "")
        known = journal.records.get(f"look {item.id}")
        same = known is not None and known.get("stamp") == stamps[item.id]
        if known and same and (seen := restored(known.get("look"), item.files)) is not None:
            looks[item.id] = seen
        else:
            jobs[item.id] = partial(look, files, card.kind, bits)

    def done(one: str, seen: Look) -> None:
        looks[one] = seen
        journal.add(f"look {one}", {"stamp": stamps[one], "look": vars(seen)})

    run_jobs("looking", jobs, pool, done)
    return looks


NO_SUBJECT = (
    "the names tell no subject: every file counts as a subject of its own (where people have several, say {subject} in "
    "a copy of the card)"
)


@dataclass(frozen=True)
class Plan:
    """`part` of every item that is used; `same`: items left out -> the one whose pixels they have."""

    part: dict[str, str]
    same: dict[str, str]
    notes: list[str]


def plan_parts(card: Card, found: Source, looks: Mapping[str, Look]) -> Plan:
    """Leave out exact duplicates, deal the others out by subject."""
    readable = {one: seen for one, seen in looks.items() if not seen.error}
    same = duplicates.exact(readable)
    alike = duplicates.near(readable)
    used = [item for item in found.items if item.id in readable]
    headers = {item.id: found.places[item.files[IMAGE][0]] for item in used if readable[item.id].dicom}
    # Read anew every time: not even a hash of a patient's number is kept.
    patients = {one: told for one, path in headers.items() if (told := patient_of(path))}
    part, notes = splits.deal(used, card.split, found.lists, patients, [*alike, *same.items()])
    if same:
        first = next(iter(same.items()))
        notes.append(f"{len(same)} image(s) left out: same pixels as another (the first: {first[0]} is {first[1]})")
    subject = {item.id: item.subject or item.id for item in used}
    close = [pair for pair in alike if not set(pair) & set(same) and subject[pair[0]] != subject[pair[1]]]
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
    return Plan({one: where for one, where in part.items() if one not in same}, same, notes)


def make_all(
    card: Card,
    found: Source,
    looks: Mapping[str, Look],
    plan: Plan,
    journal: Journal,
    pool: Executor | None,
    out: Path,
    before: Sequence[manifest.ManifestRow],
) -> tuple[dict[str, list[Made]], dict[str, MedsrError]]:
    """The files of every item of the plan, and what went wrong with the others.

    `before`: the manifest of a finished run. What it or the journal knows, and is still as it was, is not made again.
    """
    finished = _finished(before)
    made: dict[str, list[Made]] = {}
    failed: dict[str, MedsrError] = {}
    jobs: dict[str, Callable[[], Any]] = {}
    wanted: dict[str, Any] = {}
    for item in found.items:
        if item.id not in plan.part:
            continue
        bits = card.ground_truth.bits
        wanted[item.id] = [looks[item.id].hashes, plan.part[item.id], *([bits] if bits else [])]
        known = journal.records.get(f"make {item.id}") or finished.get(item.id)
        earlier = restored_files(known["made"]) if known and known.get("of") == wanted[item.id] else []
        if {file.role for file in earlier} == set(item.files) and _intact(earlier, out):
            made[item.id] = earlier
        else:
            files = {role: found.places[names[0]] for role, names in item.files.items()}
            task = Task(item.id, plan.part[item.id], card.kind, files, card.ground_truth)
            jobs[item.id] = partial(_attempt, task, out)
            journal.add(f"begin {item.id}", {"folders": [task.part, *files]})

    def done(one: str, result: list[Made] | MedsrError) -> None:
        if isinstance(result, MedsrError):
            failed[one] = result
            return
        made[one] = result
        journal.add(f"make {one}", {"of": wanted[one], "made": [asdict(file) for file in result]})

    run_jobs("making", jobs, pool, done)
    return made, failed


def _attempt(task: Task, out: Path) -> list[Made] | MedsrError:
    """What one item gives, or why it gives nothing. Raises OSError where the folder of results cannot be written."""
    try:
        return make(task, out)
    except OSError as error:
        if error.filename not in {str(path) for path in task.files.values()}:
            raise  # the disk is full, say: no other item could be written either
        return InputError(f"{error.filename}: cannot be read: {error.strerror or error}")
    except Exception as error:
        return as_error(error, task.files[IMAGE])


def _finished(before: Sequence[manifest.ManifestRow]) -> dict[str, Any]:
    """What a finished run made, in the journal's form."""
    known: dict[str, Any] = {}
    for row in before:
        if row.file:
            bits = [settled] if (settled := manifest.bits_of(before)) else []
            record = known.setdefault(row.id, {"of": [{}, row.part, *bits], "made": []})
            record["of"][0][row.role] = row.source_sha256
            names = ("file", "role", "size", "original", "sha256", "bits")
            record["made"].append({name: getattr(row, name) for name in names})
    return known


def _intact(files: Sequence[Made], out: Path) -> bool:
    return all(os.path.isfile(out / file.file) and sha256(out / file.file) == file.sha256 for file in files)
