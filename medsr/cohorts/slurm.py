"""On Slurm: a job array, requeued when preempted. Only sbatch and squeue are asked; no accounting is needed."""

from __future__ import annotations

import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence

from medsr.cohorts import results
from medsr.cohorts.plan import Plan
from medsr.errors import UsageError
from medsr.io.files import write_text

ROUNDS = 3
LOOK_EVERY = 2.0
"""Seconds between looks at what has been written down; the queue is asked a fifth as often."""


def run(
    plan: Plan,
    todo: Sequence[int],
    per_task: int,
    throttle: int,
    options: str,
    on_change: Callable[[], None],
    wait: bool = True,
) -> None:
    """Submit the inputs of those numbers, `per_task` to a task, at most `throttle` tasks at once (0: any number).

    `options`: passed on to sbatch as they are (partition, GPUs, account, memory, time). What is still missing when the
    array has left the queue is submitted again, one to a task, `ROUNDS` times in all; then it is given up. Without
    `wait` it ends after the first submission. Raises UsageError where there is no Slurm or it refuses the options.
    """
    if shutil.which("sbatch") is None:
        raise UsageError("--engine slurm: there is no sbatch on this machine")
    left = list(todo)
    for number in range(1, ROUNDS + 1):
        job = _submit(plan, left, per_task if number == 1 else 1, throttle, options, number)
        if not wait:
            return
        _wait(plan, left, job, on_change)
        left = results.missing(plan, left)
        if not left:
            return
    for n in left:
        results.give_up(plan, n, f"not done after {ROUNDS} jobs; see {plan.hidden / 'logs'}")


def chunk(plan: Plan, number: int, task: int) -> list[int]:
    """What a task of the array does: the line of its number."""
    lines = (plan.hidden / f"tasks-{number}.txt").read_text().splitlines()
    return [int(one) for one in lines[task].split()]


def _submit(plan: Plan, todo: Sequence[int], per_task: int, throttle: int, options: str, number: int) -> str:
    chunks = [todo[start : start + per_task] for start in range(0, len(todo), per_task)]
    write_text(plan.hidden / f"tasks-{number}.txt", "".join(" ".join(map(str, one)) + "\n" for one in chunks))
    (plan.hidden / "logs").mkdir(parents=True, exist_ok=True)
    script = plan.hidden / f"array-{number}.sh"
    write_text(script, _script(plan, number, len(chunks), throttle))
    command = ["sbatch", "--parsable", *shlex.split(options), str(script)]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    if answer.returncode:
        raise UsageError(f"sbatch refused: {' '.join(answer.stderr.split())}")
    return answer.stdout.strip().partition(";")[0]


def _script(plan: Plan, number: int, tasks: int, throttle: int) -> str:
    limit = f"%{throttle}" if throttle else ""
    log = plan.hidden / "logs" / f"{number}-%a.txt"
    command = [sys.executable, "-m", "medsr", "cohort", "work", str(plan.out), "--round", str(number)]
    return "\n".join(
        (
            "#!/bin/bash",
            "#SBATCH --job-name=medsr",
            f"#SBATCH --array=0-{tasks - 1}{limit}",
            "#SBATCH --requeue",
            "#SBATCH --open-mode=append",
            f"#SBATCH --output={log}",
            f'exec {shlex.join(command)} --task "$SLURM_ARRAY_TASK_ID"',
            "",
        )
    )


def _wait(plan: Plan, todo: Sequence[int], job: str, on_change: Callable[[], None]) -> None:
    """Until everything is written down, or the array has left the queue."""
    looks = 0
    while True:
        on_change()
        if not results.missing(plan, todo):
            return
        if looks % 5 == 0 and not _queued(job):
            return
        looks += 1
        time.sleep(LOOK_EVERY)


def _queued(job: str) -> bool:
    """Whether a task of the array waits or runs. A controller that does not answer is asked again later."""
    answer = subprocess.run(
        ["squeue", "--noheader", "--jobs", job, "--format", "%T"], capture_output=True, text=True, check=False
    )
    if answer.returncode:
        return "Invalid job id" not in answer.stderr
    return bool(answer.stdout.strip())
