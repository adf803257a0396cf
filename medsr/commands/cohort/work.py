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
from medsr.commands.cohort.options import complete
from medsr.commands.cohort.plan import CohortItem, CohortPlan
from medsr.commands.cohort.precision import COMPUTE
from medsr.commands.upscale import sidecar
from medsr.core.errors import MemoryExhaustedError, UsageError
from medsr.core.text import shown
from medsr.engines.base import Compute
from medsr.io.files import read_text, sha256, write_text
from medsr.io.volumes import volume_files

PARTS = "parts"
RUNNING = "running"
IMAGE_JOURNAL = "made.jsonl"
"""How a worker made its images."""
OWN = secrets.token_hex(6)
"""What this process writes under, where it was given no other name: nobody else writes there."""
_DEVICE_LOCK = threading.Lock()
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
class WorkerContext:
    """What all inputs share. `make_job(item, status)` makes a `BatchJob`."""

    settings: Mapping[str, Any]
    digest: Callable[[Path], str]
    make_job: Callable[[CohortItem, Status], pipeline.BatchJob[Any, Any]]


def work(
    out: str, plan_id: str, indices: Sequence[int], worker: str = "", device: str | None = None, alone: bool = True
) -> int:
    """Do the inputs of those numbers; returns how many failed. What this worker has done already is not done again.

    `worker`: the name under which it is written down, where a worker that comes later is to know it. `alone`: False
    where others take memory beside it: an input that finds too little is not written down as failed then. Raises
    UsageError where the folder has another plan by now, MemoryExhaustedError for such an input when the rest is done.
    """
    with _DEVICE_LOCK:
        if read_text(Path(out) / plans.FOLDER / plans.CURRENT) != plan_id:
            raise UsageError(f"{out}: another cohort was begun there meanwhile")
        plan = _plan(out, plan_id)
        folder = plan.hidden / PARTS / (worker or OWN)
        folder.mkdir(parents=True, exist_ok=True)
        write_text(folder / RUNNING, "\n".join(map(str, indices)))
        context, records, journal = _open_worker(out, plan_id, folder.name, device)
        jobs = [context.make_job(plan.items[index], records) for index in indices]

        short: list[MemoryExhaustedError] = []

        def record(outcome: Outcome, written: pipeline.Written | None) -> None:
            if not alone and isinstance(outcome.error, MemoryExhaustedError):
                short.append(outcome.error)
                return
            if written is not None and written.details is not None:
                journal.add(str(outcome.output), sidecar.entry(plan.out, outcome, written.details))
            records.record(outcome)

        outcomes = pipeline.run(jobs, record=record)
        (folder / RUNNING).unlink(missing_ok=True)
    if short:
        raise short[0]
    return sum(outcome.error is not None for outcome in outcomes)


@lru_cache(1)
def _plan(out: str, plan_id: str) -> CohortPlan:
    return plans.load(Path(out), plan_id)


@lru_cache(1)
def _open_worker(out: str, plan_id: str, worker: str, device: str | None) -> tuple[WorkerContext, Records, Journal]:
    """The model opened, the table and the journal begun, once for all that a worker does."""
    plan = _plan(out, plan_id)
    context = open_context(plan, device)
    records = Records(plan.hidden / PARTS / worker, context.settings, context.digest)
    if plan.skip_done:
        records.earlier = Status(plan.out, context.settings, context.digest)
    return context, records, Journal(plan.hidden / PARTS / worker / IMAGE_JOURNAL)


def open_context(plan: CohortPlan, device: str | None = None) -> WorkerContext:
    """The model, opened. Raises UsageError where its weights are no longer those the cohort was begun with."""
    from medsr.volumes.models import weights_hash

    options = complete(plan.command, json.loads(json.dumps(plan.options))) | ({"device": device} if device else {})
    if weights_hash(options["model"]) != plan.weights:
        raise UsageError(f"{options['model']}: not the weights this cohort was begun with; begin it again")
    compute = Compute(*(options.pop(name) for name in COMPUTE))
    return _volume_context(options, compute) if plan.command == "volume" else _upscale_context(options, compute)


def _volume_context(options: dict[str, Any], compute: Compute) -> WorkerContext:
    from medsr.commands.volume.arguments import build_request, open_for, settings_of
    from medsr.commands.volume.files import Target
    from medsr.commands.volume.job import ScanContext, ScanJob

    request, extras = build_request(**options, compute=compute)
    opened = open_for(request)

    def make_job(item: CohortItem, status: Status) -> pipeline.BatchJob[Any, Any]:
        context = ScanContext(request, extras, opened, lambda _: None, status, lambda *_: None)
        return ScanJob(Target(Path(item.source), Path(item.target), extras.dicom, item.series), context)

    return WorkerContext(settings_of(request, extras, opened), volume_files.digest, make_job)


def _upscale_context(options: dict[str, Any], compute: Compute) -> WorkerContext:
    from medsr.commands.upscale.models import Models
    from medsr.commands.upscale.run import ImageContext, ImageJob

    arguments = (options["tile"], options["outscale"], options["bits"], options["consistency"])
    keywords = {"assumed_bits": options["assumed_bits"] or {}, "keep_metadata": options["keep_metadata"]}
    keywords |= {name: options[name] for name in ("frames", "precisions", "strength")}
    models = Models(options["model"], compute, *arguments, **keywords)

    def make_job(item: CohortItem, status: Status) -> pipeline.BatchJob[Any, Any]:
        return ImageJob(Path(item.source), Path(item.target), 0, ImageContext(models, status, lambda *_: None))

    return WorkerContext(models.settings, sha256, make_job)
