"""On this machine: a process for each device, started anew when it dies."""

from __future__ import annotations

import multiprocessing
import os
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from typing import Any

from medsr.cohorts import results
from medsr.cohorts.plan import Plan
from medsr.cohorts.work import RUNNING, work

TRIES = 3
_DEVICE: str | None = None


def run(plan: Plan, todo: Sequence[int], workers: int, on_change: Callable[[], None]) -> None:
    """Do the inputs of those numbers. One whose process has died `TRIES` times is given up.

    `workers`: processes; 0 for one on each GPU, or one on the CPU. On a CPU they share its cores out among them.
    """
    devices = _devices(workers)
    deaths: Counter[int] = Counter()
    left = list(todo)
    while left:
        seats = multiprocessing.get_context("spawn").Queue()
        for seat in enumerate(devices):
            seats.put((*seat, len(devices)))
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(len(devices), context, _sit_down, (seats,)) as pool:
            futures = [pool.submit(_work, str(plan.out), n) for n in left]
            try:
                for future in as_completed(futures):
                    future.result()
                    on_change()
            except BrokenProcessPool:
                deaths.update(_fell(plan))
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise
        for n in (n for n in results.missing(plan, left) if deaths[n] >= TRIES):
            results.give_up(plan, n, f"the process that worked on it died {TRIES} times (out of memory?)")
        left = results.missing(plan, left)
        on_change()


def _work(out: str, number: int) -> int:
    return work(out, [number], f"local-{os.getpid()}", _DEVICE)


def _sit_down(seats: Any) -> None:
    """In a new worker: its own device, or its own share of the cores."""
    global _DEVICE
    number, _DEVICE, of = seats.get()
    if of > 1 and _DEVICE is None and hasattr(os, "sched_setaffinity"):
        cores = sorted(os.sched_getaffinity(0))
        share = max(1, len(cores) // of)
        os.sched_setaffinity(0, cores[number * share % len(cores) :][:share])


def _devices(workers: int) -> list[str | None]:
    """What each process computes on; None for what the options say."""
    if workers:
        return [None] * workers
    try:
        import torch

        count = torch.cuda.device_count()
    except ImportError:
        count = 0
    return [f"cuda:{n}" for n in range(count)] or [None]


def _fell(plan: Plan) -> list[int]:
    """What was being done by processes that are gone."""
    fallen = []
    for part in results.parts(plan):
        fallen += results.marked(part)
        (part / RUNNING).unlink(missing_ok=True)
    return fallen
