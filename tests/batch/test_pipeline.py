from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import pytest

from medsr.batch.outcome import Outcome
from medsr.batch.pipeline import Written, consume, prefetch, run
from medsr.core.errors import InputError

SOON = 20.0
"""Seconds after which a test has hung."""


@dataclass(eq=False)
class Value:
    """What a step hands on."""

    number: int
    step: str
    digest: str = "digest"


@dataclass
class Step:
    """A job whose steps do as they are told, and can be waited for."""

    number: int
    on: dict[str, Callable[[], None]] = field(default_factory=dict)
    wanted: bool = True
    began: dict[str, threading.Event] = field(
        default_factory=lambda: {name: threading.Event() for name in ("read", "compute", "write")}
    )
    threads: dict[str, int] = field(default_factory=dict)
    values: dict[str, weakref.ref[Value]] = field(default_factory=dict)
    """What the steps returned, for as long as somebody holds it."""

    @property
    def source(self) -> Path:
        return Path(f"in{self.number}")

    @property
    def target(self) -> Path:
        return Path(f"out{self.number}")

    def _do(self, name: str) -> None:
        self.began[name].set()
        self.threads[name] = threading.get_ident()
        self.on.get(name, lambda: None)()

    def read(self) -> Value | None:
        self._do("read")
        return self._value("read") if self.wanted else None

    def compute(self, loaded: Value) -> Value:
        assert (loaded.number, loaded.step) == (self.number, "read")
        self._do("compute")
        return self._value("compute")

    def write(self, result: Value) -> Written:
        assert (result.number, result.step) == (self.number, "compute")
        self._do("write")
        return Written((f"note {self.number}",), f"sha256 {self.number}")

    def _value(self, step: str) -> Value:
        value = Value(self.number, step)
        self.values[step] = weakref.ref(value)
        return value

    def held(self) -> list[str]:
        """The steps whose value somebody holds."""
        return [step for step, value in self.values.items() if value() is not None]


def _fail() -> None:
    raise InputError("bad")


def test_the_next_is_read_and_the_last_written_while_one_is_computed() -> None:
    jobs = [Step(n) for n in range(4)]
    for job, after in pairwise(jobs):
        job.on["compute"] = lambda after=after: _seen(after, "read")  # type: ignore[misc]
        job.on["write"] = lambda after=after: _seen(after, "compute")  # type: ignore[misc]
    outcomes = run(jobs, lambda _: None)
    assert [outcome.input for outcome in outcomes] == [job.source for job in jobs]
    assert [outcome.notes for outcome in outcomes] == [(f"note {n}",) for n in range(4)]
    assert [outcome.output_sha256 for outcome in outcomes] == [f"sha256 {n}" for n in range(4)]
    assert {outcome.input_sha256 for outcome in outcomes} == {"digest"}
    assert {job.threads["compute"] for job in jobs} == {threading.get_ident()}


def _seen(job: Step, name: str) -> None:
    assert job.began[name].wait(SOON), f"{name} of {job.number} never began"


@pytest.mark.parametrize("step", ["read", "compute", "write"])
def test_a_step_that_fails_costs_no_other_job(step: str) -> None:
    jobs = [Step(n) for n in range(5)]
    jobs[2].on[step] = _fail
    jobs[4].wanted = False
    reported: list[Outcome] = []
    outcomes = run(jobs, reported.append)
    assert reported == outcomes
    assert [outcome.error is None for outcome in outcomes] == [True, True, False, True, True]
    assert [outcome.skipped for outcome in outcomes] == [False, False, False, False, True]
    assert not jobs[4].began["compute"].is_set()
    assert jobs[2].began["write"].is_set() == (step == "write")
    assert [job.held() for job in jobs] == [[]] * 5  # the error of a step holds none of its values


def test_no_more_than_three_are_in_memory() -> None:
    """One read, one computed, one written: while the fourth is computed, of the first two nothing is left."""
    jobs = [Step(n) for n in range(6)]

    def look() -> None:
        assert [job.held() for job in jobs[:2]] == [[], []]

    jobs[3].on["compute"] = look
    outcomes = run(jobs)
    assert [outcome.error for outcome in outcomes] == [None] * 6
    assert [job.held() for job in jobs] == [[]] * 6


def test_what_is_written_is_recorded_at_once_and_told_by_the_thread_that_asked() -> None:
    jobs = [Step(n) for n in range(2)]
    recorded, threads = threading.Event(), set()

    def wait() -> None:
        assert recorded.wait(SOON), "the first was recorded only after the second was computed"

    jobs[1].on["compute"] = wait
    run(jobs, lambda _: threads.add(threading.get_ident()), lambda *_: recorded.set())
    assert threads == {threading.get_ident()}


def test_what_is_being_written_is_finished_and_told_when_interrupted() -> None:
    jobs = [Step(n) for n in range(4)]
    ended = threading.Event()

    def interrupt() -> None:
        raise KeyboardInterrupt

    def slow() -> None:
        _seen(jobs[1], "compute")
        ended.set()

    jobs[0].on["write"], jobs[1].on["compute"] = slow, interrupt
    reported: list[Outcome] = []
    recorded: list[Outcome] = []
    with pytest.raises(KeyboardInterrupt):
        run(jobs, reported.append, lambda outcome, _: recorded.append(outcome))
    assert ended.is_set()
    assert recorded == reported
    assert [outcome.input for outcome in reported] == [jobs[0].source]
    assert not jobs[1].began["write"].is_set()
    assert not jobs[2].began["compute"].is_set()
    assert not jobs[3].began["read"].is_set()


def test_nothing_is_nothing() -> None:
    assert run([], lambda _: None) == []
    assert list(prefetch(str, [])) == []
    assert list(prefetch(str, [1, 2, 3])) == ["1", "2", "3"]


def test_the_next_input_is_made_while_the_last_is_consumed_and_no_further_one() -> None:
    at_work, made = threading.Event(), threading.Event()
    calls: list[str] = []

    def inputs() -> Iterator[int]:
        for number in range(3):
            if number == 1:
                assert at_work.wait(SOON)
                made.set()
            calls.append(f"make {number}")
            yield number

    def consumer(values: Iterator[int]) -> list[int]:
        assert threading.current_thread() is not threading.main_thread()
        consumed = []
        for value in values:
            at_work.set()
            assert made.wait(SOON)
            calls.append(f"take {value}")
            consumed.append(value)
        return consumed

    assert consume(consumer, inputs()) == [0, 1, 2]
    assert calls.index("take 0") < calls.index("make 2")
    assert consume(list, []) == []


def test_who_consumes_may_stop_early_or_fail() -> None:
    endless = iter(range(10**9))
    assert consume(next, endless) == 0
    assert next(endless) < 5

    def fail(values: Iterator[int]) -> None:
        raise InputError(f"broken at {next(values)}")

    with pytest.raises(InputError, match="broken at 0"):
        consume(fail, range(10**9))


@pytest.mark.parametrize("error", [MemoryError(), KeyboardInterrupt()])
def test_an_error_in_making_inputs_is_raised_and_ends_who_consumes(error: BaseException) -> None:
    ended = threading.Event()

    def inputs() -> Iterator[int]:
        yield 0
        raise error

    def consumer(values: Iterator[int]) -> None:
        list(values)
        ended.set()
        raise ValueError("too few")  # of no interest: it comes of the other error

    with pytest.raises(type(error)):
        consume(consumer, inputs())
    assert ended.is_set()
