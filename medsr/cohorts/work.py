"""What a worker does, whoever started it: some of a plan's inputs, each written down as soon as it is done."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from medsr import overlap
from medsr.cohorts import plan as plans
from medsr.engines.base import Compute
from medsr.io import volume as volume_io
from medsr.io.files import sha256, write_text
from medsr.status import NAME, Status, read, render

PARTS = "parts"
RUNNING = "running"
_ONE = threading.Lock()
"""One at a time in a process, however many threads it was given: the device is one."""


@dataclass(frozen=True)
class Crew:
    """What all inputs share. `job(source, target, status)` makes an `overlap.Job`."""

    known: dict[str, Any]
    digest: Callable[[Path], str]
    job: Callable[[Path, Path, Status], overlap.Job]


def work(out: str, indices: Sequence[int], part: str, device: str | None = None) -> int:
    """Do the inputs of those numbers; returns how many failed. What this part has done already is not done again.

    `part`: a name of its own for what this worker writes down: nobody else writes there at the same time.
    """
    plan = plans.load(Path(out))
    place = plan.hidden / PARTS / part
    with _ONE:
        crew = _crew(out, plan.command, json.dumps(plan.options, sort_keys=True), device)
        place.mkdir(parents=True, exist_ok=True)
        (place / RUNNING).write_text("\n".join(map(str, indices)))
        with Status(place, crew.known, crew.digest) as status:
            if plan.skip_done:
                wanted = {plan.units[n].target for n in indices}
                known = {row.output: row for row in read(plan.out / NAME) if row.output in wanted}
                status.rows = known | status.rows
            units = [plan.units[n] for n in indices]
            jobs = [crew.job(Path(unit.source), Path(unit.target), status) for unit in units]
            outcomes = overlap.run(jobs, record=status.record)
        if any(outcome.skipped for outcome in outcomes):  # known from an earlier cohort: say so here, too
            write_text(status.path, render(status.rows.values()))
        (place / RUNNING).unlink()
    return sum(outcome.error is not None for outcome in outcomes)


@lru_cache(1)
def _crew(out: str, command: str, options: str, device: str | None) -> Crew:
    """The model opened, once for all that a worker does. `options`: as JSON."""
    given = json.loads(options) | ({"device": device} if device else {})
    compute = Compute(*(given.pop(name) for name in ("device", "engine", "precision", "max_gpu_memory", "compiled")))
    return _scans(given, compute) if command == "volume" else _images(given, compute)


def _scans(given: dict[str, Any], compute: Compute) -> Crew:
    from medsr.scan.files import Target
    from medsr.scan.job import How, Job
    from medsr.scan.run import asked, open_for, settings_of

    request, extras = asked(**given, compute=compute)
    opened = open_for(request)
    told: list[str] = []

    def job(source: Path, target: Path, status: Status) -> overlap.Job:
        how = How(request, extras, opened, told.append, status, lambda *_: None)
        return Job(Target(source, target, extras.dicom), how)

    return Crew(settings_of(request, extras, opened), volume_io.digest, job)


def _images(given: dict[str, Any], compute: Compute) -> Crew:
    from medsr.infer.batch import DEFAULT_BASELINE_SCALE, How, Job, settings_of
    from medsr.infer.models import open_model

    network = open_model(given["model"], compute, given["tile"])
    scale = given["outscale"] or network.scale or DEFAULT_BASELINE_SCALE

    def job(source: Path, target: Path, status: Status) -> overlap.Job:
        return Job(source, target, 0, How(network, scale, given["bits"], status, lambda *_: None))

    return Crew(settings_of(network, given["model"], scale, given["bits"]), sha256, job)
