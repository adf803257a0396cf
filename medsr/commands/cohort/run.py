"""`medsr cohort`: plan, let an executor do it, gather what came of it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from medsr.batch.progress import progress
from medsr.commands.cohort import bids, page, results, slurm_executor
from medsr.commands.cohort import plan as plans
from medsr.commands.cohort.build_plan import build_plan, weights_digest
from medsr.commands.cohort.executor import Executor
from medsr.commands.cohort.options import complete
from medsr.commands.cohort.plan import CohortPlan, Command
from medsr.commands.cohort.results import CohortStatus
from medsr.core.errors import UsageError
from medsr.core.text import shown
from medsr.core.types import Notify


def cohort(
    command: Command,
    inputs: str | Path | Sequence[str | Path],
    *,
    out: str | Path,
    on: Executor = Executor(),
    suffixes: Sequence[str] = ("T1w",),
    skip_done: bool = False,
    notify: Notify = lambda _: None,
    **options: Any,
) -> CohortStatus:
    """Run `medsr.volume` or `medsr.upscale` over many inputs, each done once, wherever `on` says.

    Args:
        command: `volume` or `upscale`.
        inputs: Folders (searched below), globs, list files (`.txt`, a path each line), or the root of a BIDS dataset.
        out: The folder for the results, status.tsv and cohort.html. Failed inputs are rows with their reason.
        on: Where it runs: processes here, a Slurm cluster, or Dask.
        suffixes: Of a BIDS dataset, which images become derivatives.
        skip_done: Leave out what status.tsv calls done, as long as input, settings and result are the same.
        notify: Called with each line that a user should read.
        options: Those of `medsr.volume` or `medsr.upscale`.

    Returns:
        What became of every input.

    Raises:
        UsageError: An argument is wrong, and nothing was done.
        WeightsError: The model cannot be opened, and nothing was done.

    Examples:
        >>> import medsr
        >>> status = medsr.cohort("volume", "scans", out="finer-scans", model="cubic")
        >>> len(status.done), len(status.failed)
        (2, 0)
    """
    names = [str(inputs)] if isinstance(inputs, str | Path) else [str(name) for name in inputs]
    folder = Path(os.path.abspath(out))
    plan = build_plan(command, names, folder, suffixes, skip_done, options, notify, on.here)
    on.check()
    with plans.locked_folder(folder):
        _put_away(folder)
        plan.save()
        return _execute(plan, range(len(plan.items)), on, notify)


def retry(out: str | Path, on: Executor = Executor(), notify: Notify = lambda _: None) -> CohortStatus:
    """Do again, as it was asked for, what of a cohort failed or was never done."""
    plan = plans.load(Path(os.path.abspath(out)))
    model = complete(plan.command, plan.options)["model"]
    if weights_digest(model) != plan.weights:
        raise UsageError(f"{model}: not the weights this cohort was begun with; begin it again")
    on.check()
    with plans.locked_folder(plan.out):
        _check_queue(plan)
        failed = {row.output for row in results.read_status(plan).failed}
        again = {index for index, item in enumerate(plan.items) if shown(item.target) in failed}
        pending = sorted(again | set(results.missing(plan)))
        results.reset(plan, pending)
        return _execute(plan, pending, on, notify)


def finish(out: str | Path) -> CohortStatus:
    """How a cohort stands. Where all of it is done and nobody is at work there, `status.tsv` and the page are made."""
    plan = plans.load(Path(os.path.abspath(out)))
    status = results.read_status(plan)
    if len(status.rows) == status.total:
        with suppress(OSError, UsageError), plans.locked_folder(plan.out):  # somebody else's, or being done
            return _write_summary(plan)
    return status


def _execute(plan: CohortPlan, pending: Sequence[int], executor: Executor, notify: Notify) -> CohortStatus:
    with progress(f"cohort {plan.command}", len(pending)) as update:
        try:
            if pending:
                executor.run(plan, pending, update, notify)
        finally:
            status = results.gather(plan)
    if executor.wait:
        results.give_up(plan, results.missing(plan, pending), "never done: its worker ended without a word")
        results.remove_leftovers(plan)
        status = _write_summary(plan)
    return status


def _write_summary(plan: CohortPlan) -> CohortStatus:
    """Everything that stands beside the results of a whole cohort."""
    status = results.gather(plan)
    if plan.bids:
        bids.describe(Path(plan.bids), plan.out, f"medsr {plan.command}")
    if len(status.rows) == status.total:
        page.write(plan, status)
    return status


def _put_away(folder: Path) -> None:
    """What an earlier cohort in this folder wrote down goes into `status.tsv`; its workers find no plan any more."""
    try:
        earlier = plans.load(folder)
    except UsageError:
        return
    _check_queue(earlier)
    results.gather(earlier)
    shutil.rmtree(earlier.hidden, ignore_errors=True)


def _check_queue(plan: CohortPlan) -> None:
    if jobs := slurm_executor.queued(plan):
        raise UsageError(f"{plan.out}: Slurm still has {', '.join(jobs)} of it; wait for it, or scancel it")
