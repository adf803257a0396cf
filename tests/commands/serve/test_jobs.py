"""The queue: whose turn it is, and that nothing stops it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medsr.commands.serve.child import Cancelled
from medsr.commands.serve.jobs import Queue, UserJob
from medsr.commands.serve.quota import BusyError
from medsr.core.errors import InputError


class Hands:
    """What does the jobs here: each waits until it is let go, or stopped."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self.free = threading.Event()

    def do(self, function: Any, task: str, *, on_progress: Callable, stop: threading.Event) -> str:
        while not self.free.wait(0.01):
            if stop.is_set():
                raise Cancelled
        if task == "bad":
            raise InputError("bad.png: damaged")
        if task == "worse":
            raise ZeroDivisionError
        on_progress(1, 2, "half")
        self.done.append(task)
        return task

    def end(self) -> None:
        self.free.set()


def job(user: str, task: str) -> UserJob:
    return UserJob(user, "file", "image", ("bicubic",), print, task)


def ended(*jobs: UserJob) -> None:
    latest = time.monotonic() + 10
    while not all(one.state in ("done", "failed", "cancelled") for one in jobs) and time.monotonic() < latest:
        time.sleep(0.005)


def held() -> tuple[Hands, Queue, UserJob]:
    """A queue whose first job is running, until `free` is set."""
    hands = Hands()
    queue = Queue(hands, 50, 100)  # type: ignore[arg-type]
    first = job("first", "first")
    queue.add(first)
    while first.state != "running":
        time.sleep(0.001)
    return hands, queue, first


def test_users_take_turns() -> None:
    hands, queue, _ = held()
    jobs = [job("anna", f"a{n}") for n in range(4)] + [job("berta", f"b{n}") for n in range(2)] + [job("clara", "c0")]
    for one in jobs:
        queue.add(one)
    assert [queue.position(one) for one in jobs] == [1, 4, 6, 7, 2, 5, 3]
    hands.free.set()
    ended(*jobs)
    assert hands.done == ["first", "a0", "b0", "c0", "a1", "b1", "a2", "a3"]
    assert queue.position(jobs[0]) is None
    queue.close()


@settings(max_examples=30, deadline=None)
@given(st.lists(st.sampled_from("abcd"), max_size=20))
def test_nobody_waits_longer_than_a_round(users: list[str]) -> None:
    """Before anybody's k-th job, nobody else has more than k done."""
    hands, queue, _ = held()
    jobs = [job(user, f"{user}{n}") for n, user in enumerate(users)]
    for one in jobs:
        queue.add(one)
    hands.free.set()
    ended(*jobs)
    queue.close()
    order = [one[0] for one in hands.done[1:]]
    for end, user in enumerate(order):
        mine = order[: end + 1].count(user)
        assert all(order[:end].count(other) <= mine for other in set(order))
    assert sorted(hands.done[1:]) == sorted(one.task for one in jobs)


def test_one_who_comes_later_is_not_behind_all_who_asked_for_much() -> None:
    _, queue, _ = held()
    many = [job("anna", f"a{n}") for n in range(10)]
    for one in many:
        queue.add(one)
    late = job("berta", "b0")
    queue.add(late)
    assert queue.position(late) == 2
    queue.close()
    assert all(one.state in ("cancelled", "waiting") for one in many[1:])


def test_a_waiting_job_is_cancelled_at_once_and_a_running_one_stops() -> None:
    _, queue, first = held()
    waiting = job("anna", "a0")
    queue.add(waiting)
    queue.cancel(waiting)
    assert (waiting.state, queue.position(waiting)) == ("cancelled", None)
    queue.cancel(first)
    ended(first)
    assert first.state == "cancelled"
    queue.close()


def test_too_many_are_told_so() -> None:
    queue = Queue(Hands(), 2, 3)  # type: ignore[arg-type]
    jobs = [job("anna", f"a{n}") for n in range(2)]
    for one in jobs:
        queue.add(one)
    with pytest.raises(BusyError, match="2 of your jobs"):
        queue.add(job("anna", "a2"))
    while jobs[0].state != "running":
        time.sleep(0.001)
    for user in ("berta", "clara"):
        queue.add(job(user, "x"))
    with pytest.raises(BusyError, match="busy: 3 jobs are waiting; your place would be 4"):
        queue.add(job("dora", "x"))
    queue.close()


def test_one_failure_is_that_jobs_alone() -> None:
    hands, queue, _ = held()
    jobs = [job("anna", "bad"), job("berta", "worse"), job("clara", "fine")]
    for one in jobs:
        queue.add(one)
    hands.free.set()
    ended(*jobs)
    assert [one.state for one in jobs] == ["failed", "failed", "done"]
    assert jobs[0].error == "bad.png: damaged"
    assert "division" not in (jobs[1].error or "")
    assert (jobs[2].result, jobs[2].progress, jobs[2].doing) == ("fine", 1.0, "half")
    queue.close()


def test_interpolation_is_not_half_of_the_progress(eye: Path, eye_model: Path, tmp_path: Path) -> None:
    from medsr.commands.serve.quota import Quota
    from medsr.commands.serve.run_jobs import ImageTask, run_image_task
    from medsr.engines.base import Compute

    quota = Quota(tmp_path, 1e9)
    models = ("bicubic", str(eye_model))
    task = ImageTask(eye, tmp_path / "out", models, None, None, Compute("cpu", "torch"), 1e6, quota)
    steps: list[tuple[str, float]] = []
    run_image_task(task, lambda done, total, text: steps.append((text, done / total)))
    shares = [share for _, share in steps]
    assert shares == sorted(shares)
    assert shares[-1] == pytest.approx(1)
    assert max(share for name, share in steps if name == "bicubic") < 0.1
