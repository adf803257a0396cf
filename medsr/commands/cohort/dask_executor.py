"""On Dask: any cluster the user has, or worker processes on this machine."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from medsr.commands.cohort import results
from medsr.commands.cohort.local_executor import OnDone
from medsr.commands.cohort.plan import CohortPlan
from medsr.commands.cohort.work import work
from medsr.core.errors import DependencyError, UsageError
from medsr.core.isolation import isolate_children

SECONDS = "30s"
"""That a scheduler has to answer."""


def run(plan: CohortPlan, indices: Sequence[int], address: str | None, workers: int, on_done: OnDone) -> None:
    """Do the inputs of those numbers. Dask gives what a dead worker had to another, three times at most.

    `address`: of a scheduler (tcp://HOST:PORT) or its file (scheduler.json); None for `workers` processes here.
    Raises UsageError where no scheduler answers, DependencyError without `medsr[cohort]`.
    """
    try:
        from distributed import as_completed
    except ImportError as error:
        raise DependencyError(f"`engine=dask` needs {error.name}: pip install 'medsr[cohort]'") from error
    failed: dict[int, str] = {}
    with ExitStack() as stack:
        client = _client(address, workers, stack)
        futures = {
            client.submit(work, str(plan.out), plan.id, [index], pure=False, key=f"medsr-{plan.id}-{index}"): index
            for index in indices
        }
        for future in as_completed(futures):
            if future.status == "finished":
                on_done(future.result())
            else:
                failed[futures[future]] = _reason(future)
                on_done(1)
    for index in results.missing(plan, failed):
        results.give_up(plan, [index], failed[index])


def _client(address: str | None, workers: int, stack: ExitStack) -> Any:
    from distributed import Client, LocalCluster

    if address is None:
        isolate_children()
        options = {"threads_per_worker": 1, "processes": True, "dashboard_address": None}
        return stack.enter_context(Client(stack.enter_context(LocalCluster(n_workers=workers or 1, **options))))
    if address.endswith(".json") and not Path(address).is_file():
        raise UsageError(f"`dask={address}`: no such file; a scheduler writes it where it is started with it")
    connection = {"scheduler_file": address} if address.endswith(".json") else {"address": address}
    try:
        return stack.enter_context(Client(**connection, timeout=SECONDS))
    except (OSError, TimeoutError, ValueError) as error:
        raise UsageError(f"`dask={address}`: no scheduler answers there ({error})") from error


def _reason(future: Any) -> str:
    error = future.exception() if future.status == "error" else None
    if error is None:
        return "the scheduler gave it up"
    if type(error).__name__ == "KilledWorker":
        return "every worker that took it died (out of memory?)"
    return f"{type(error).__name__} on a worker: {error}"[:300]
