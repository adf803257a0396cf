"""The child process: its failures are one task's, never the server's."""

from __future__ import annotations

import ctypes
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pytest

from medsr.commands.serve.child import Cancelled
from medsr.commands.serve.worker import BugError, Worker
from medsr.core.errors import InputError, MedsrError
from medsr.core.types import OnProgress


def add(a: int, b: int, on_progress: OnProgress) -> int:
    on_progress(1, 2, "adding")
    return a + b


def refuse(on_progress: OnProgress) -> None:
    raise InputError("eye.png: damaged")


def fail(on_progress: OnProgress) -> None:
    raise KeyError("secret")


def crash(on_progress: OnProgress) -> None:
    ctypes.string_at(0)


def hog(gigabytes: int, on_progress: OnProgress) -> int:
    return int(np.ones(gigabytes << 27).sum())


def count(path: str, on_progress: OnProgress) -> None:
    for n in range(10_000):
        Path(path).write_text(str(n))
        on_progress(n, 10_000, "counting")
        time.sleep(0.01)


def sleep(on_progress: OnProgress) -> None:
    time.sleep(60)


def who(on_progress: OnProgress) -> int:
    return os.getpid()


@pytest.fixture
def worker() -> Iterator[Worker]:
    child = Worker(6 << 30, 60)
    yield child
    child.end()


def test_work_is_done_and_told(worker: Worker) -> None:
    told: list[tuple[float, float, str]] = []
    assert worker.do(add, 2, 3, on_progress=lambda *words: told.append(words)) == 5
    assert told == [(1, 2, "adding")]
    assert worker.do(who) == worker.do(who) != os.getpid()


def test_failures_are_told_apart(worker: Worker) -> None:
    with pytest.raises(MedsrError, match=r"^eye\.png: damaged$"):
        worker.do(refuse)
    with pytest.raises(BugError) as raised:
        worker.do(fail)
    assert "secret" not in str(raised.value)
    with pytest.raises(MedsrError, match="more memory than"):
        worker.do(hog, 30)
    with pytest.raises(InputError, match="ended unexpectedly"):
        worker.do(crash)
    assert worker.do(add, 1, 1) == 2


def test_a_cancelled_task_stops_and_the_next_is_not_cancelled(worker: Worker, tmp_path: Path) -> None:
    stop = threading.Event()
    threading.Timer(1.5, stop.set).start()
    with pytest.raises(Cancelled):
        worker.do(count, str(tmp_path / "n"), stop=stop)
    stopped = (tmp_path / "n").read_text()
    time.sleep(0.2)
    assert (tmp_path / "n").read_text() == stopped
    assert worker.do(add, 1, 1) == 2


def test_a_task_that_does_not_listen_is_ended() -> None:
    worker = Worker(None, 60, grace=0.5)
    stop = threading.Event()
    stop.set()
    with pytest.raises(Cancelled):
        worker.do(sleep, stop=stop)
    assert worker.do(add, 1, 1) == 2
    worker.end()


def test_nobody_hears_what_was_meant_for_another(worker: Worker) -> None:
    def deaf(*_: object) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        worker.do(add, 2, 3, on_progress=deaf)
    assert worker.do(add, 20, 30) == 50


def test_a_task_has_its_time() -> None:
    worker = Worker(None, 1.5)
    with pytest.raises(MedsrError, match="the most this server gives"):
        worker.do(sleep)
    worker.end()


def test_ended_by_two_at_once_its_pipe_is_closed_once() -> None:
    """Closed twice, it could be the file of somebody else that is closed: numbers of open files are used again."""
    worker, closed = Worker(None, 10), []

    class Slow:
        def kill(self) -> None: ...

        def join(self) -> None:
            time.sleep(0.1)

    worker._process, worker._pipe = Slow(), Mock(close=lambda: closed.append(1))
    threads = [threading.Thread(target=worker.end) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert closed == [1]
