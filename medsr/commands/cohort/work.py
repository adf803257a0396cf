"""What a worker does, whoever started it: some of a plan's inputs, each written down as soon as it is done."""

from __future__ import annotations

import json
import secrets
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from medsr.batch import pipeline
from medsr.batch.journal import Journal
from medsr.batch.outcome import Outcome
from medsr.batch.status import Status, append
from medsr.commands.cohort import plan as plans
from medsr.commands.cohort.options import whole
from medsr.commands.cohort.plan import Plan, Unit
from medsr.commands.upscale import sidecar
from medsr.core.errors import UsageError
from medsr.core.text import shown
from medsr.engines.base import Compute
from medsr.io.files import read_text, sha256, write_text
from medsr.io.volumes import volume_files

PARTS = "parts"
RUNNING = "running"
MADE = "made.jsonl"
"""How a worker made its images."""
OWN = secrets.token_hex(6)
"""What this process writes under, where it was given no other name: nobody else writes there."""
_ONE = threading.Lock()
"""One at a time in a process, however many threads it was given: the device is one."""


class Records(Status):
    """A worker's own table. `earlier`: what was done before this cohort and need not be done again, or None."""

    earlier: Status | None = None

    def is_done(self, source: Path, target: Path) -> bool:
        if super().is_done(source, target):
            return True
        return self.earlier is not None and self.earlier.is_done(source, target)

    def record(self, outcome: Outcome) -> None:
        """What was known before is written down here too: else it would be missing."""
        target = shown(outcome.output)
        if outcome.skipped and self.earlier is not None and target not in self.rows:
            self.rows[target] = self.earlier.rows[target]
            append(self.path, self.rows[target])
        super().record(outcome)


@dataclass(frozen=True)
class Crew:
    """What all inputs share. `job(unit, status)` makes an `pipeline.BatchJob`."""

    known: Mapping[str, Any]
    digest: Callable[[Path], str]
    job: Callable[[Unit, Status], pipeline.BatchJob]


def work(out: str, plan_id: str, indices: Sequence[int], part: str = "", device: str | None = None) -> int:
    """Do the inputs of those numbers; returns how many failed. What this part has done already is not done again.

    `part`: the name under which it is written down, where a worker that comes later is to know it. Raises UsageError
    where the folder has another plan by now.
    """
    name = part or OWN
    with _ONE:
        if read_text(Path(out) / plans.FOLDER / plans.CURRENT) != plan_id:
            raise UsageError(f"{out}: another cohort was begun there meanwhile")
        plan = _plan(out, plan_id)
        place = plan.hidden / PARTS / name
        place.mkdir(parents=True, exist_ok=True)
        write_text(place / RUNNING, "\n".join(map(str, indices)))
        crew, records, made = _desk(out, plan_id, name, device)
        jobs = [crew.job(plan.units[n], records) for n in indices]
        by_target = {job.target: job for job in jobs}

        def record(outcome: Outcome) -> None:
            if (used := getattr(by_target[outcome.output], "used", None)) and outcome.error is None:
                made.add(str(outcome.output), sidecar.entry(plan.out, outcome, used))
            records.record(outcome)

        outcomes = pipeline.run(jobs, record=record)
        (place / RUNNING).unlink(missing_ok=True)
    return sum(outcome.error is not None for outcome in outcomes)


@lru_cache(1)
def _plan(out: str, plan_id: str) -> Plan:
    return plans.load(Path(out), plan_id)


@lru_cache(1)
def _desk(out: str, plan_id: str, name: str, device: str | None) -> tuple[Crew, Records, Journal]:
    """The model opened, the table and the journal begun, once for all that a worker does."""
    plan = _plan(out, plan_id)
    crew = crew_of(plan, device)
    records = Records(plan.hidden / PARTS / name, crew.known, crew.digest)
    if plan.skip_done:
        records.earlier = Status(plan.out, crew.known, crew.digest)
    return crew, records, Journal(plan.hidden / PARTS / name / MADE)


def crew_of(plan: Plan, device: str | None = None) -> Crew:
    """The model, opened. Raises UsageError where its weights are no longer those the cohort was begun with."""
    from medsr.volumes.models import weights_hash

    given = whole(plan.command, json.loads(json.dumps(plan.options))) | ({"device": device} if device else {})
    if weights_hash(given["model"]) != plan.weights:
        raise UsageError(f"{given['model']}: not the weights this cohort was begun with; begin it again")
    compute = Compute(*(given.pop(name) for name in ("device", "engine", "precision", "max_gpu_memory", "compiled")))
    return _scans(given, compute) if plan.command == "volume" else _images(given, compute)


def _scans(given: dict[str, Any], compute: Compute) -> Crew:
    from medsr.commands.volume.files import Target
    from medsr.commands.volume.job import How, Job
    from medsr.commands.volume.run import asked, open_for, settings_of

    request, extras = asked(**given, compute=compute)
    opened = open_for(request)

    def job(unit: Unit, status: Status) -> pipeline.BatchJob:
        how = How(request, extras, opened, lambda _: None, status, lambda *_: None)
        return Job(Target(Path(unit.source), Path(unit.target), extras.dicom, unit.series), how)

    return Crew(settings_of(request, extras, opened), volume_files.digest, job)


def _images(given: dict[str, Any], compute: Compute) -> Crew:
    from medsr.commands.upscale.models import Models
    from medsr.commands.upscale.run import How, Job

    asked = (given["tile"], given["outscale"], given["bits"], given["consistency"])
    more = {"assumed_bits": given["assumed_bits"] or {}, "keep_metadata": given["keep_metadata"]}
    more["frames"] = given["frames"]
    models = Models(given["model"], compute, *asked, **more)

    def job(unit: Unit, status: Status) -> pipeline.BatchJob:
        return Job(Path(unit.source), Path(unit.target), 0, How(models, status, lambda *_: None))

    return Crew(models.known, sha256, job)
