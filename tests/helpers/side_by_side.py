"""Several workers share the tests of the whole suite, where pytest-xdist is installed."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

WORKERS, BYTES_EACH = 4, 5_000_000_000


def cores() -> int:
    """Those this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def in_worker() -> bool:
    return "PYTEST_XDIST_WORKER" in os.environ


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> None:
    """As many workers as there are cores and memory for, unless a folder, a test or `-n` is named."""
    import psutil

    if in_worker():  # it comes by here too, and would start workers of its own, and they theirs
        return
    chosen = config.option
    part = config.args_source is not pytest.Config.ArgsSource.TESTPATHS or chosen.keyword or chosen.usepdb
    workers = min(cores(), psutil.virtual_memory().available // BYTES_EACH, WORKERS)
    if not config.pluginmanager.hasplugin("xdist") or os.name != "posix":
        return
    if not part and workers > 1 and chosen.numprocesses is None and chosen.dist == "no":
        chosen.numprocesses, chosen.dist = workers, "worksteal"
    if chosen.numprocesses:  # as many threads as cores in every worker would wait for one another
        os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.hookimpl(wrapper=True)
def pytest_report_to_serializable() -> Generator[None, Any, Any]:
    """A report goes from a worker as UTF-8; the output of tests of odd names is not always that."""
    return _encodable((yield))


def _encodable(data: Any) -> Any:
    if isinstance(data, str):
        return data.encode("utf-8", "backslashreplace").decode()
    if isinstance(data, dict):
        return {_encodable(key): _encodable(value) for key, value in data.items()}
    if isinstance(data, list | tuple):
        return type(data)(_encodable(value) for value in data)
    return data


@contextmanager
def turn(folder: Path, alone: bool) -> Iterator[None]:
    """Hold every other worker's next test back while one that measures time runs; it waits for those that run.

    `folder`: one for all workers.
    """
    import fcntl

    kind = fcntl.LOCK_EX if alone else fcntl.LOCK_SH
    with (folder / "door.lock").open("a") as door, (folder / "room.lock").open("a") as room:
        fcntl.flock(door, kind)  # nobody comes in while one who wants the room alone waits for it
        fcntl.flock(room, kind)
        fcntl.flock(door, fcntl.LOCK_UN)
        try:
            yield
        finally:
            fcntl.flock(room, fcntl.LOCK_UN)


@contextmanager
def all_threads() -> Iterator[None]:
    """For torch in this process."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(cores())
    try:
        yield
    finally:
        torch.set_num_threads(before)
