"""On this machine: a process for each device, started anew when it dies."""

from __future__ import annotations

import multiprocessing
import os
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from typing import Any

from medsr.commands.cohort import results
from medsr.commands.cohort.plan import CohortPlan
from medsr.commands.cohort.work import RUNNING, work
from medsr.core import platform
from medsr.core.children import end_with_parent
from medsr.core.errors import DependencyError, MedsrError, UsageError, WeightsError
from medsr.core.isolation import isolate_children

TRIES = 3
OnDone = Callable[[int], None]
"""Called with how many inputs failed of what has just ended."""
_DEVICE: str | None = None


def run(plan: CohortPlan, indices: Sequence[int], workers: int, on_done: OnDone) -> None:
    """Do the inputs of those numbers. One whose process has died `TRIES` times, alone, is given up.

    `workers`: processes; 0 for one on each GPU, or one on the CPU. On a CPU they share its cores out among them.
    Raises MedsrError where processes die before they begin.
    """
    devices = _devices(workers, str(plan.options["device"]))
    stalled = 0
    remaining = list(indices)
    while remaining:
        before = len(remaining)
        suspects = _run_together(plan, remaining, devices, on_done)
        for index in suspects:
            _run_alone(plan, index, devices[:1], on_done)
        remaining = results.missing(plan, remaining)
        stalled = stalled + 1 if len(remaining) == before else 0
        if stalled == TRIES:
            raise MedsrError("the processes that should work die before they begin; out of memory?")


def _run_together(plan: CohortPlan, indices: Sequence[int], devices: list[str | None], on_done: OnDone) -> list[int]:
    """All of them; where a process dies its pool dies with it: returns what was then being done."""
    with _pool(devices) as pool:
        futures = {pool.submit(_work, str(plan.out), plan.id, index): index for index in indices}
        try:
            for future in as_completed(futures):
                _collect(plan, futures[future], future, on_done)
        except BrokenProcessPool:
            return _interrupted(plan)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return []


def _run_alone(plan: CohortPlan, index: int, devices: list[str | None], on_done: OnDone) -> None:
    """One that may have been what its process died of, without neighbours to take down."""
    deaths: Counter[int] = Counter()
    while results.missing(plan, [index]):
        with _pool(devices) as pool:
            try:
                future = pool.submit(_work, str(plan.out), plan.id, index)
                _collect(plan, index, future, on_done)
            except BrokenProcessPool:
                _interrupted(plan)
                deaths[index] += 1
        if deaths[index] >= TRIES:
            results.give_up(plan, [index], f"the process that worked on it died {TRIES} times (out of memory?)")


def _collect(plan: CohortPlan, index: int, future: Any, on_done: OnDone) -> None:
    try:
        on_done(future.result())
    except (BrokenProcessPool, UsageError, WeightsError, DependencyError):
        raise
    except Exception as error:  # a bug on one input must not cost the others
        results.give_up(plan, [index], f"{type(error).__name__}: {error}"[:300])
        on_done(1)


def _pool(devices: list[str | None]) -> ProcessPoolExecutor:
    isolate_children()
    context = multiprocessing.get_context("spawn")
    slots = context.Queue()
    for slot in enumerate(devices):
        slots.put((*slot, len(devices)))
    return ProcessPoolExecutor(len(devices), context, _start_worker, (slots,))


def _work(out: str, plan_id: str, index: int) -> int:
    return work(out, plan_id, [index], f"local-{os.getpid()}", _DEVICE)


def _start_worker(slots: Any) -> None:
    """In a new worker: its own device, or its own share of the cores; and it ends with the one who started it."""
    global _DEVICE
    slot, _DEVICE, count = slots.get()
    if count > 1 and _DEVICE is None:
        cores = platform.cores()
        share = max(1, len(cores) // count)
        platform.use_cores(cores[slot * share % len(cores) :][:share])
    end_with_parent()


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
        return [f"cuda:{index % count}" for index in range(workers or count)]
    return [None] * (workers or 1)


def _interrupted(plan: CohortPlan) -> list[int]:
    """What was being done by processes that are gone."""
    interrupted: set[int] = set()
    for folder in results.worker_folders(plan):
        interrupted |= set(results.in_progress(folder))
        (folder / RUNNING).unlink(missing_ok=True)
    return results.missing(plan, sorted(interrupted))
