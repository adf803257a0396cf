"""Many small jobs on several cores, in processes of their own."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Executor, Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from typing import Any

from medsr.batch.progress import progress
from medsr.core.children import end_with_parent
from medsr.core.errors import MemoryExhaustedError
from medsr.core.isolation import isolate_children


@contextmanager
def workers(count: int, fewer: str = "with `workers=1`") -> Iterator[Executor | None]:
    """None for one worker: then the work is done here. `fewer`: how the user asks for it."""
    if count == 1:
        yield None
        return
    isolate_children()
    pool = ProcessPoolExecutor(count, multiprocessing.get_context("spawn"), initializer=end_with_parent)
    try:
        yield pool
    except BrokenProcessPool as error:
        raise MemoryExhaustedError(
            f"a worker process was ended from outside, mostly for lack of memory; run again, {fewer}"
        ) from error
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def run_jobs(
    title: str, jobs: Mapping[str, Callable[[], Any]], pool: Executor | None, done: Callable[[str, Any], None]
) -> None:
    """Run every job and give its result to `done` as soon as it is there."""
    with progress(title, len(jobs)) as update:
        if pool is None:
            for count, (key, job) in enumerate(jobs.items(), 1):
                done(key, job())
                update(count, key)
            return
        futures: dict[Future[Any], str] = {pool.submit(job): key for key, job in jobs.items()}
        for count, future in enumerate(as_completed(futures), 1):
            done(futures[future], future.result())
            update(count, futures[future])
