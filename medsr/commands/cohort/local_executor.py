"""On this machine: a process for each device, started anew when it dies."""

from __future__ import annotations

import multiprocessing
import os
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

from medsr.commands.cohort import results
from medsr.commands.cohort.plan import CohortPlan
from medsr.commands.cohort.work import RUNNING, work
from medsr.core import control_groups, devices, memory, platform
from medsr.core.children import end_with_parent
from medsr.core.errors import DependencyError, MedsrError, MemoryExhaustedError, UsageError, WeightsError
from medsr.core.isolation import isolate_children

TRIES = 3
OnDone = Callable[[int], None]
"""Called with how many inputs failed of what has just ended."""
_DEVICE: str | None = None
_ALONE = True
WORKER_BYTES, BYTES_PER_INPUT_BYTE = 1e9, 80
"""Memory of a worker on a CPU: this, and so much for each byte of the largest input, which is mostly compressed."""


def run(plan: CohortPlan, indices: Sequence[int], workers: int, on_done: OnDone) -> None:
    """Do the inputs of those numbers. One whose process has died `TRIES` times, alone, is given up.

    `workers`: processes; 0 for one on each GPU, or one for each core as the memory allows. On a CPU they share its
    cores out among them. What finds too little memory beside others is done alone. Raises MedsrError where processes
    die before they begin.
    """
    slots = _slots(plan, indices, workers)
    stalled = 0
    remaining = list(indices)
    while remaining:
        before = len(remaining)
        suspects = _run_together(plan, remaining, slots, on_done)
        for index in suspects:
            _run_alone(plan, index, slots[:1], on_done)
        remaining = results.missing(plan, remaining)
        stalled = stalled + 1 if len(remaining) == before else 0
        if stalled == TRIES:
            raise MedsrError("the processes that should work die before they begin; out of memory?")


def _run_together(plan: CohortPlan, indices: Sequence[int], slots: list[str | None], on_done: OnDone) -> list[int]:
    """All of them; returns what found too little memory, and what was being done where a process died with its pool."""
    short: list[int] = []
    with _pool(slots) as pool:
        futures = {pool.submit(_work, str(plan.out), plan.id, index): index for index in indices}
        try:
            for future in as_completed(futures):
                if isinstance(future.exception(), MemoryExhaustedError):
                    short.append(futures[future])
                    continue
                _collect(plan, futures[future], future, on_done)
        except BrokenProcessPool:
            return sorted({*short, *_interrupted(plan)})
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return short


def _run_alone(plan: CohortPlan, index: int, slots: list[str | None], on_done: OnDone) -> None:
    """One that may have been what its process died of, without neighbours to take down."""
    deaths: Counter[int] = Counter()
    while results.missing(plan, [index]):
        with _pool(slots) as pool:
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


def _pool(slots: list[str | None]) -> ProcessPoolExecutor:
    isolate_children()
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    for slot in enumerate(slots):
        queue.put((*slot, len(slots)))
    return ProcessPoolExecutor(len(slots), context, _start_worker, (queue,))


def _work(out: str, plan_id: str, index: int) -> int:
    return work(out, plan_id, [index], f"local-{os.getpid()}", _DEVICE, _ALONE)


def _start_worker(queue: Any) -> None:
    """In a new worker: its own device, or its own share of the cores; and it ends with the one who started it."""
    global _ALONE, _DEVICE
    slot, _DEVICE, count = queue.get()
    _ALONE = count == 1
    memory.work_beside(count)
    if count > 1 and _DEVICE is None:
        cores = platform.cores()
        share = max(1, len(cores) // count)
        platform.use_cores(cores[slot * share % len(cores) :][:share])
    end_with_parent()


def _slots(plan: CohortPlan, indices: Sequence[int], workers: int) -> list[str | None]:
    """The device of each process; None for what the options say."""
    try:
        device = devices.choose(str(plan.options["device"]))
    except (MedsrError, ImportError):  # each worker will say so, or it is an engine's own
        return [None] * (workers or 1)
    if device == "cuda":
        import torch

        count = torch.cuda.device_count()
        return [f"cuda:{index % count}" for index in range(workers or count)]
    sources = [Path(plan.items[index].source) for index in indices]
    return [None] * (workers or (_cpu_workers(sources) if device == "cpu" else 1))


def _cpu_workers(sources: Sequence[Path]) -> int:
    """One for each core whose time may be used, as far as the free memory holds the largest input in each.

    One where a process cannot be kept to its own core.
    """
    if not platform.use_cores(platform.cores()):
        return 1
    needed = WORKER_BYTES + BYTES_PER_INPUT_BYTE * max(map(_size, sources))
    return max(1, min(control_groups.cores(), len(sources), int(memory.free() / needed)))


def _size(source: Path) -> int:
    """Bytes of a file, or of a folder's own files; 0 where it cannot be read."""
    try:
        return sum(entry.stat().st_size for entry in os.scandir(source)) if source.is_dir() else source.stat().st_size
    except OSError:
        return 0


def _interrupted(plan: CohortPlan) -> list[int]:
    """What was being done by processes that are gone."""
    interrupted: set[int] = set()
    for folder in results.worker_folders(plan):
        interrupted |= set(results.in_progress(folder))
        (folder / RUNNING).unlink(missing_ok=True)
    return results.missing(plan, sorted(interrupted))
