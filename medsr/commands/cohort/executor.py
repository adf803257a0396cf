"""Where the work of a cohort is done: processes on this machine, a Slurm cluster, or Dask."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from medsr.batch.progress import Update
from medsr.commands.cohort import dask_executor, local_executor, results, slurm_executor
from medsr.commands.cohort.plan import CohortPlan
from medsr.core.errors import UsageError
from medsr.core.suggest import did_you_mean
from medsr.core.types import Notify

Name = Literal["local", "slurm", "dask"]


@dataclass(frozen=True)
class Executor:
    """Where the work is done.

    `workers`: processes of local and dask (0: of local one for each GPU or core that memory allows; of dask one).
    `address`: of Dask's scheduler. `per_task`, `throttle`, `sbatch`: of Slurm's array. `wait`: until all is done; else
    only submit (Slurm).
    """

    name: Name = "local"
    workers: int = 0
    address: str | None = None
    per_task: int = 8
    throttle: int = 0
    sbatch: str = ""
    wait: bool = True

    def __post_init__(self) -> None:
        if self.name not in get_args(Name):
            hint = did_you_mean(self.name, get_args(Name))
            raise UsageError(f"`engine={self.name}`: expected one of {', '.join(get_args(Name))}{hint}")
        if self.per_task < 1 or self.throttle < 0 or self.workers < 0:
            raise UsageError("`per_task`, `throttle`, `workers`: expected whole numbers, 1 or more to a task")

    @property
    def here(self) -> bool:
        """Whether every worker runs on this machine."""
        return self.name == "local" or (self.name == "dask" and self.address is None)

    def check(self) -> None:
        """Raise UsageError for an executor that is not there, before anything is touched."""
        if self.name == "slurm":
            slurm_executor.check()
            _split(self.sbatch)

    def run(self, plan: CohortPlan, pending: Sequence[int], update: Update, notify: Notify) -> None:
        """Do the inputs of those numbers; `update` hears how many are done."""
        done = failed = 0

        def on_done(failures: int) -> None:
            nonlocal done, failed
            done, failed = done + 1, failed + failures
            update(min(done, len(pending)), f"{failed} failed")

        def on_change() -> None:
            status = results.read_status(plan)
            update(max(0, len(status.rows) - status.total + len(pending)), f"{len(status.failed)} failed")

        if self.name == "local":
            local_executor.run(plan, pending, self.workers, on_done)
        elif self.name == "dask":
            dask_executor.run(plan, pending, self.address, self.workers, on_done)
        else:
            options = slurm_executor.SlurmOptions(self.per_task, self.throttle, _split(self.sbatch))
            slurm_executor.run(plan, pending, options, on_change, notify, self.wait)


def _split(options: str) -> tuple[str, ...]:
    try:
        return tuple(shlex.split(options))
    except ValueError as error:
        raise UsageError(f"`sbatch={options}`: {error}") from error
