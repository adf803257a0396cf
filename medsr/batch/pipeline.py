"""Many inputs, one after the other: the next is read and the last is written while one is computed."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Protocol, TypeVar

from medsr.batch.outcome import Outcome, run_safely

Input = TypeVar("Input")
Result = TypeVar("Result")


class BatchJob(Protocol):
    """One input and what is made of it. Each step finds what the one before left in the job."""

    @property
    def source(self) -> Path: ...
    @property
    def target(self) -> Path: ...
    @property
    def digest(self) -> str:
        """Of the input's bytes that were decoded; empty before `read`."""
        ...

    @property
    def written(self) -> str:
        """Digest of what was written; empty before `write`, or where nobody has taken it."""
        ...

    def read(self) -> bool:
        """Bring the input into memory, in a thread. False: there is nothing to be done."""
        ...

    def compute(self) -> None:
        """In the calling thread, one job at a time, in their order."""
        ...

    def write(self) -> tuple[str, ...]:
        """Write the result, in a thread, and release it. Returns what the user should know."""
        ...

    def release(self) -> None:
        """Let go of what is in memory: a step has failed."""
        ...


def run(
    jobs: Sequence[BatchJob],
    on_outcome: Callable[[Outcome], None] = lambda _: None,
    record: Callable[[Outcome], None] = lambda _: None,
) -> list[Outcome]:
    """Do every job; a failing one becomes its outcome and costs no other theirs. Outcomes come in the jobs' order.

    At most three are in memory: one read, one computed, one written. `record` is called by the thread that writes, as
    soon as a job is done. `on_outcome` is called by the calling thread, which alone prints, when it has the time. Where
    that one is interrupted, what is being written is finished, recorded and reported first. `seconds` are those of a
    job's own steps.
    """
    outcomes: list[Outcome] = []

    def finish(job: BatchJob, computed: Outcome) -> Outcome:
        outcome = _next_step(job, computed, job.write)
        outcome = replace(outcome, input_sha256=job.digest, output_sha256=job.written)
        recorded = run_safely(job.source, job.target, partial(_run_record, record, outcome))
        return (
            outcome if recorded.error is None or outcome.error is not None else replace(outcome, error=recorded.error)
        )

    def report(finished: Future[Outcome] | None) -> None:
        if finished is not None:
            outcomes.append(finished.result())
            on_outcome(outcomes[-1])

    finished: Future[Outcome] | None = None
    with closing(prefetch(_read, jobs)) as reading, ThreadPoolExecutor(1) as writer:
        try:
            for job, begun in zip(jobs, reading, strict=True):
                computed = _next_step(job, begun, job.compute)
                report(finished)
                finished = None
                finished = writer.submit(finish, job, computed)
        finally:
            report(finished)
    return outcomes


def prefetch(function: Callable[[Input], Result], inputs: Sequence[Input]) -> Generator[Result, None, None]:
    """`map(function, inputs)`: the next result is computed in a thread while the caller has the last."""
    with ThreadPoolExecutor(1) as pool:
        pending = [pool.submit(function, entry) for entry in inputs[:1]]
        for entry in inputs[1:]:
            result = pending.pop().result()
            pending.append(pool.submit(function, entry))
            yield result
            del result
        for last in pending:
            yield last.result()


def _read(job: BatchJob) -> Outcome:
    done = True

    def step() -> tuple[str, ...]:
        nonlocal done
        done = not job.read()
        return ()

    outcome = run_safely(job.source, job.target, step)
    return replace(outcome, skipped=True, seconds=0.0) if outcome.error is None and done else outcome


def _run_record(record: Callable[[Outcome], None], outcome: Outcome) -> tuple[str, ...]:
    record(outcome)
    return ()


def _next_step(job: BatchJob, before: Outcome, step: Callable[[], tuple[str, ...] | None]) -> Outcome:
    """The next step of a job, unless it failed or there is nothing to be done."""
    if before.error is not None or before.skipped:
        return before
    outcome = run_safely(job.source, job.target, lambda: step() or ())
    if outcome.error is not None:
        job.release()
    return replace(outcome, seconds=before.seconds + outcome.seconds)
