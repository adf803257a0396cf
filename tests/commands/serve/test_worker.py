"""The child process: its failures are one task's, never the server's."""

from __future__ import annotations

import ctypes
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from medsr.commands.serve.child import Cancelled, Tell
from medsr.commands.serve.worker import BugError, Helper
from medsr.core.errors import InputError, MedsrError


def add(a: int, b: int, tell: Tell) -> int:
    tell(1, 2, "adding")
    return a + b


def refuse(tell: Tell) -> None:
    raise InputError("eye.png: damaged")


def fail(tell: Tell) -> None:
    raise KeyError("secret")


def crash(tell: Tell) -> None:
    ctypes.string_at(0)


def hog(gigabytes: int, tell: Tell) -> int:
    return int(np.ones(gigabytes << 27).sum())


def count(path: str, tell: Tell) -> None:
    for n in range(10_000):
        Path(path).write_text(str(n))
        tell(n, 10_000, "counting")
        time.sleep(0.01)


def sleep(tell: Tell) -> None:
    time.sleep(60)


def who(tell: Tell) -> int:
    return os.getpid()


@pytest.fixture
def helper() -> Iterator[Helper]:
    one = Helper(6 << 30, 60)
    yield one
    one.end()


def test_work_is_done_and_told(helper: Helper) -> None:
    told: list[tuple[float, float, str]] = []
    assert helper.do(add, 2, 3, tell=lambda *words: told.append(words)) == 5
    assert told == [(1, 2, "adding")]
    assert helper.do(who) == helper.do(who) != os.getpid()


def test_failures_are_told_apart(helper: Helper) -> None:
    with pytest.raises(MedsrError, match=r"^eye\.png: damaged$"):
        helper.do(refuse)
    with pytest.raises(BugError) as raised:
        helper.do(fail)
    assert "secret" not in str(raised.value)
    with pytest.raises(MedsrError, match="more memory than"):
        helper.do(hog, 30)
    with pytest.raises(InputError, match="ended unexpectedly"):
        helper.do(crash)
    assert helper.do(add, 1, 1) == 2


def test_a_cancelled_task_stops_and_the_next_is_not_cancelled(helper: Helper, tmp_path: Path) -> None:
    stop = threading.Event()
    threading.Timer(1.5, stop.set).start()
    with pytest.raises(Cancelled):
        helper.do(count, str(tmp_path / "n"), stop=stop)
    stopped = (tmp_path / "n").read_text()
    time.sleep(0.2)
    assert (tmp_path / "n").read_text() == stopped
    assert helper.do(add, 1, 1) == 2


def test_a_task_that_does_not_listen_is_ended() -> None:
    helper = Helper(None, 60, grace=0.5)
    stop = threading.Event()
    stop.set()
    with pytest.raises(Cancelled):
        helper.do(sleep, stop=stop)
    assert helper.do(add, 1, 1) == 2
    helper.end()


def test_nobody_hears_what_was_meant_for_another(helper: Helper) -> None:
    def deaf(*_: object) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        helper.do(add, 2, 3, tell=deaf)
    assert helper.do(add, 20, 30) == 50


def test_a_task_has_its_time() -> None:
    helper = Helper(None, 1.5)
    with pytest.raises(MedsrError, match="the most this server gives"):
        helper.do(sleep)
    helper.end()
