"""On Slurm: job arrays, requeued when preempted. Only sbatch and squeue are asked; no accounting is needed."""

from __future__ import annotations

import shlex
import shutil
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from medsr.batch import journal
from medsr.commands.cohort import results
from medsr.commands.cohort.plan import CohortPlan
from medsr.core import isolation
from medsr.core.errors import UsageError
from medsr.core.types import Notify
from medsr.io.files import write_text

ROUNDS = 3
MOST_TASKS = 1000
"""Of one array: what Slurm takes by default (MaxArraySize)."""
LOOK_EVERY, ASK_EVERY = 2.0, 5
"""Seconds between looks at what has been written down; how many of them between questions to the queue."""
GRACE = 20.0
"""Seconds that what was written on another machine may take to be seen here."""
JOBS = "jobs.txt"


@dataclass(frozen=True)
class SlurmOptions:
    """How to submit: inputs of a task, tasks at once (0: any number), and what sbatch gets besides."""

    per_task: int
    throttle: int
    sbatch: tuple[str, ...]


def check() -> None:
    """Raise UsageError where there is no Slurm."""
    if shutil.which("sbatch") is None:
        raise UsageError("`engine=slurm`: there is no sbatch on this machine")


def run(
    plan: CohortPlan,
    indices: Sequence[int],
    options: SlurmOptions,
    on_change: Callable[[], None],
    notify: Notify,
    wait: bool = True,
) -> None:
    """Submit the inputs of those numbers.

    What is still missing when the arrays have left the queue is submitted again, one to a task, `ROUNDS` times in all;
    then it is given up. Without `wait` it ends after the first submission. Raises UsageError where Slurm refuses.
    """
    remaining = list(indices)
    for number in range(ROUNDS):
        try:
            jobs = _submit(plan, remaining, replace(options, per_task=1) if number else options, notify)
        except UsageError:
            if number == 0:
                raise
            break  # what is done stays; what is not is given up
        if not wait:
            return
        _wait(plan, remaining, jobs, on_change)
        remaining = results.missing(plan, remaining)
        if not remaining:
            return
    results.give_up(plan, remaining, f"not done after {ROUNDS} rounds of jobs; see {plan.hidden / 'logs'}")


def task_indices(plan: CohortPlan, array: int, task: int) -> list[int]:
    """What a task of an array does: the line of its number."""
    return [
        int(index)
        for index in (plan.hidden / f"tasks-{array}.txt").read_text(encoding="utf-8").splitlines()[task].split()
    ]


def queued(plan: CohortPlan) -> list[str]:
    """The arrays of a plan that still wait or run."""
    if shutil.which("squeue") is None:
        return []
    try:
        jobs = (plan.hidden / JOBS).read_text(encoding="utf-8").split()
    except OSError:
        return []
    return [job for job in jobs if _queued(job)]


def _submit(plan: CohortPlan, indices: Sequence[int], options: SlurmOptions, notify: Notify) -> list[str]:
    chunks = [indices[start : start + options.per_task] for start in range(0, len(indices), options.per_task)]
    (plan.hidden / "logs").mkdir(parents=True, exist_ok=True)
    jobs = []
    for start in range(0, len(chunks), MOST_TASKS):
        part = chunks[start : start + MOST_TASKS]
        array = len(list(plan.hidden.glob("tasks-*.txt")))
        write_text(plan.hidden / f"tasks-{array}.txt", "".join(" ".join(map(str, chunk)) + "\n" for chunk in part))
        script = plan.hidden / f"array-{array}.sh"
        write_text(script, _script(plan, array))
        limit = f"%{options.throttle}" if options.throttle else ""
        log = str(plan.hidden / "logs" / f"{array}-").replace("%", "%%") + "%a.txt"
        command = ["sbatch", "--parsable", f"--array=0-{len(part) - 1}{limit}", f"--output={log}", *options.sbatch]
        process = subprocess.run([*command, str(script)], capture_output=True, text=True, errors="replace", check=False)
        if process.returncode:
            raise UsageError(f"sbatch refused: {' '.join(process.stderr.split())}")
        jobs.append(process.stdout.strip())
        journal.append(plan.hidden / JOBS, f"{jobs[-1]}\n".encode())
        notify(f"submitted {len(part)} tasks as job {jobs[-1].partition(';')[0]}")
    return jobs


def _script(plan: CohortPlan, array: int) -> str:
    command = isolation.command("cohort", "work", str(plan.out), "--plan", plan.id, "--array", str(array))
    lines = ("#!/bin/bash", "#SBATCH --job-name=medsr", "#SBATCH --requeue", "#SBATCH --open-mode=append")
    return "\n".join((*lines, f'exec {shlex.join(command)} --task "$SLURM_ARRAY_TASK_ID"', ""))


def _wait(plan: CohortPlan, indices: Sequence[int], jobs: list[str], on_change: Callable[[], None]) -> None:
    """Until everything is written down, or the arrays have left the queue and what they wrote has had time to come."""
    looks, empty_since = 0, None
    while True:
        on_change()
        if not results.missing(plan, indices):
            return
        if looks % ASK_EVERY == 0:
            waiting = any(_queued(job) for job in jobs)
            empty_since = None if waiting else empty_since or time.monotonic()
        if empty_since is not None and time.monotonic() - empty_since > GRACE:
            return
        looks += 1
        time.sleep(LOOK_EVERY)


def _queued(job: str) -> bool:
    """Whether a task of the array waits or runs. A controller that does not answer is asked again later."""
    number, _, cluster = job.partition(";")
    where = ["--clusters", cluster] if cluster else []
    command = ["squeue", "--noheader", "--jobs", number, "--format", "%T", *where]
    process = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    if process.returncode:
        return "Invalid job id" not in process.stderr
    return any(line and not line.startswith("CLUSTER") for line in process.stdout.splitlines())
