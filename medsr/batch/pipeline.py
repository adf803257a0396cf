"""Many inputs, one after the other: the next is read and the last is written while one is computed."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from threading import Semaphore
from typing import Any, Generic, Protocol, TypeVar

from medsr.batch.outcome import Outcome, run_safely

Input = TypeVar("Input")
Output = TypeVar("Output")


class LoadedInput(Protocol):
    """An input in memory."""

    @property
    def digest(self) -> str:
        """Of the bytes that were decoded."""
        ...


Loaded = TypeVar("Loaded", bound=LoadedInput)
Result = TypeVar("Result")


@dataclass(frozen=True)
class Written:
    """What is known once a result is written.

    `notes`: what the user should know. `output_sha256`: empty where nobody has taken it. `details`: what the batch's
    own `record` needs besides the outcome.
    """

    notes: tuple[str, ...] = ()
    output_sha256: str = ""
    details: Any = None


class BatchJob(Protocol[Loaded, Result]):
    """One input of a batch, in three steps. Each step gets what the one before returns; the job holds none of it."""

    @property
    def source(self) -> Path: ...
    @property
    def target(self) -> Path: ...

    def read(self) -> Loaded | None:
        """Bring the input into memory, in a thread. None: there is nothing to be done."""
        ...

    def compute(self, loaded: Loaded) -> Result:
        """In the calling thread, one job at a time, in their order."""
        ...

    def write(self, result: Result) -> Written:
        """Write the result, in a thread."""
        ...


def run(
    jobs: Sequence[BatchJob[Any, Any]],
    on_outcome: Callable[[Outcome], None] = lambda _: None,
    record: Callable[[Outcome, Written | None], None] = lambda *_: None,
) -> list[Outcome]:
    """Do every job; a failing one becomes its outcome and costs no other theirs. Outcomes come in the jobs' order.

    At most three are in memory: one read, one computed, one written. `record` is called by the thread that writes, as
    soon as a job is done; without `Written` where nothing was written. `on_outcome` is called by the calling thread,
    which alone prints, when it has the time. Where that one is interrupted, what is being written is finished, recorded
    and reported first. `seconds` are those of a job's own steps.
    """
    outcomes: list[Outcome] = []

    def finish(job: BatchJob[Any, Any], computed: _Handover[Any]) -> Outcome:
        last = _next_step(job, computed, job.write)
        outcome, written = last.outcome, last.value.pop() if last.value else None
        if written is not None:
            outcome = replace(outcome, notes=written.notes, output_sha256=written.output_sha256)
        recorded = run_safely(job.source, job.target, partial(_run_record, record, outcome, written))
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
            for job, loaded in zip(jobs, reading, strict=True):
                computed = _next_step(job, loaded, job.compute)
                report(finished)
                finished = None
                finished = writer.submit(finish, job, computed)
        finally:
            report(finished)
    return outcomes


def prefetch(function: Callable[[Input], Output], inputs: Sequence[Input]) -> Generator[Output, None, None]:
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


def consume(function: Callable[[Iterator[Input]], Output], inputs: Iterable[Input]) -> Output:
    """`function(iter(inputs))`, where `function` runs in a thread: the next input is made while it has the last.

    The calling thread makes the inputs, no more than one ahead. An error on either side ends both, and is raised.
    """
    handover: SimpleQueue[list[Input]] = SimpleQueue()  # an empty list is the end
    requests = Semaphore(0)

    def handed_over() -> Iterator[Input]:
        requests.release()
        while entry := handover.get():
            yield entry.pop()
            requests.release()

    with ThreadPoolExecutor(1) as pool:
        consumer = pool.submit(function, handed_over())
        consumer.add_done_callback(lambda _: requests.release())
        try:
            for value in inputs:
                requests.acquire()
                if consumer.done():
                    break
                handover.put([value])
                del value
        finally:
            handover.put([])
        return consumer.result()


@dataclass(frozen=True)
class _Handover(Generic[Output]):
    """How a job's last step ended, and what it returned: one `value`, or none where nothing follows.

    The next step takes the value out. So nothing else holds it: futures, loops and the tracebacks of errors live on.
    """

    outcome: Outcome
    value: list[Output]


def _read(job: BatchJob[Loaded, Any]) -> _Handover[Loaded]:
    first = _run_step(job, job.read)
    loaded = first.value.pop() if first.value else None
    if first.outcome.error is not None:
        return first  # type: ignore[return-value]
    if loaded is None:
        return _Handover(replace(first.outcome, skipped=True, seconds=0.0), [])
    return _Handover(replace(first.outcome, input_sha256=loaded.digest), [loaded])


def _next_step(job: BatchJob[Any, Any], before: _Handover[Input], step: Callable[[Input], Output]) -> _Handover[Any]:
    """The next step of a job, unless it failed or there is nothing to be done."""
    if not before.value:
        return before
    after = _run_step(job, lambda: step(before.value.pop()))
    seconds = before.outcome.seconds + after.outcome.seconds
    return _Handover(replace(after.outcome, seconds=seconds, input_sha256=before.outcome.input_sha256), after.value)


def _run_step(job: BatchJob[Any, Any], step: Callable[[], Output]) -> _Handover[Output]:
    value: list[Output] = []

    def keep_value() -> tuple[str, ...]:
        value.append(step())
        return ()

    return _Handover(run_safely(job.source, job.target, keep_value), value)


def _run_record(
    record: Callable[[Outcome, Written | None], None], outcome: Outcome, written: Written | None
) -> tuple[str, ...]:
    record(outcome, written)
    return ()
