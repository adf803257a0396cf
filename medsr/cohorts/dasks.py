"""On Dask: any cluster the user has, or worker processes on this machine."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from medsr.cohorts import results
from medsr.cohorts.plan import Plan
from medsr.cohorts.work import work
from medsr.errors import DependencyError, UsageError


def run(plan: Plan, todo: Sequence[int], address: str | None, workers: int, on_change: Callable[[], None]) -> None:
    """Do the inputs of those numbers. Dask gives what a dead worker had to another, four times at most.

    `address`: of a scheduler (tcp://HOST:PORT) or its file (scheduler.json); None for `workers` processes here.
    Raises UsageError where no scheduler answers, DependencyError without `medsr[cohort]`.
    """
    try:
        from distributed import Client, LocalCluster, as_completed
    except ImportError as error:
        raise DependencyError(f"--engine dask needs {error.name}: pip install 'medsr[cohort]'") from error
    given: Any = address
    if address is None:
        given = LocalCluster(n_workers=workers or 1, threads_per_worker=1, processes=True, dashboard_address=None)
    try:
        client = Client(scheduler_file=address) if address and address.endswith(".json") else Client(given, timeout=30)
    except (OSError, TimeoutError, ValueError) as error:
        raise UsageError(f"--dask {address}: no scheduler answers there ({error})") from error
    with client:
        futures = {
            client.submit(work, str(plan.out), [n], f"dask-{n:06d}", pure=False, key=f"medsr-{plan.out.name}-{n}"): n
            for n in todo
        }
        for future in as_completed(futures):
            if future.status != "finished" and results.missing(plan, [futures[future]]):
                results.give_up(plan, futures[future], _reason(future))
            on_change()
    if address is None:
        given.close()


def _reason(future: Any) -> str:
    error = future.exception()
    if type(error).__name__ == "KilledWorker":
        return "every worker that took it died (out of memory?)"
    return f"{type(error).__name__} on a worker: {error}"[:300]
