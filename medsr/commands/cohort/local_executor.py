"""On this machine: a process for each device, started anew when it dies."""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.connection import wait
from typing import Any

from medsr.commands.cohort import results
from medsr.commands.cohort.plan import Plan
from medsr.commands.cohort.work import RUNNING, work
from medsr.core.errors import DependencyError, MedsrError, UsageError, WeightsError
from medsr.core.isolation import isolate_children

TRIES = 3
OnDone = Callable[[int], None]
"""Told the numbers of failed inputs of what has just ended."""
_DEVICE: str | None = None


def run(plan: Plan, todo: Sequence[int], workers: int, on_done: OnDone) -> None:
    """Do the inputs of those numbers. One whose process has died `TRIES` times, alone, is given up.

    `workers`: processes; 0 for one on each GPU, or one on the CPU. On a CPU they share its cores out among them.
    Raises MedsrError where processes die before they begin.
    """
    devices = _devices(workers, str(plan.options["device"]))
    idle = 0
    left = list(todo)
    while left:
        before = len(left)
        suspects = _together(plan, left, devices, on_done)
        for n in suspects:
            _alone(plan, n, devices[:1], on_done)
        left = results.missing(plan, left)
        idle = idle + 1 if len(left) == before else 0
        if idle == TRIES:
            raise MedsrError("the processes that should work die before they begin; out of memory?")


def _together(plan: Plan, todo: Sequence[int], devices: list[str | None], on_done: OnDone) -> list[int]:
    """All of them; where a process dies its pool dies with it: returns what was then being done."""
    with _pool(devices) as pool:
        futures = {pool.submit(_work, str(plan.out), plan.id, n): n for n in todo}
        try:
            for future in as_completed(futures):
                _hear(plan, futures[future], future, on_done)
        except BrokenProcessPool:
            return _fell(plan)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return []


def _alone(plan: Plan, n: int, devices: list[str | None], on_done: OnDone) -> None:
    """One that may have been what its process died of, without neighbours to take down."""
    deaths: Counter[int] = Counter()
    while results.missing(plan, [n]):
        with _pool(devices) as pool:
            try:
                future = pool.submit(_work, str(plan.out), plan.id, n)
                _hear(plan, n, future, on_done)
            except BrokenProcessPool:
                _fell(plan)
                deaths[n] += 1
        if deaths[n] >= TRIES:
            results.give_up(plan, [n], f"the process that worked on it died {TRIES} times (out of memory?)")


def _hear(plan: Plan, n: int, future: Any, on_done: OnDone) -> None:
    try:
        on_done(future.result())
    except (BrokenProcessPool, UsageError, WeightsError, DependencyError):
        raise
    except Exception as error:  # a bug on one input must not cost the others
        results.give_up(plan, [n], f"{type(error).__name__}: {error}"[:300])
        on_done(1)


def _pool(devices: list[str | None]) -> ProcessPoolExecutor:
    isolate_children()
    context = multiprocessing.get_context("spawn")
    seats = context.Queue()
    for seat in enumerate(devices):
        seats.put((*seat, len(devices)))
    return ProcessPoolExecutor(len(devices), context, _sit_down, (seats,))


def _work(out: str, plan_id: str, number: int) -> int:
    return work(out, plan_id, [number], f"local-{os.getpid()}", _DEVICE)


def _sit_down(seats: Any) -> None:
    """In a new worker: its own device, or its own share of the cores; and it ends with the one who started it."""
    global _DEVICE
    number, _DEVICE, of = seats.get()
    if of > 1 and _DEVICE is None and hasattr(os, "sched_setaffinity"):
        cores = sorted(os.sched_getaffinity(0))
        share = max(1, len(cores) // of)
        os.sched_setaffinity(0, cores[number * share % len(cores) :][:share])
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)


def _devices(workers: int, device: str) -> list[str | None]:
    """What each process computes on; None for what the options say."""
    count = 0
    if device in ("auto", "cuda"):
        try:
            import torch

            count = torch.cuda.device_count()
        except ImportError:
            count = 0
    if count:
        return [f"cuda:{n % count}" for n in range(workers or count)]
    return [None] * (workers or 1)


def _fell(plan: Plan) -> list[int]:
    """What was being done by processes that are gone."""
    fallen: set[int] = set()
    for part in results.parts(plan):
        fallen |= set(results.marked(part))
        (part / RUNNING).unlink(missing_ok=True)
    return results.missing(plan, sorted(fallen))
