"""`medsr cohort`: plan, let an engine do it, gather what came of it."""

from __future__ import annotations

import inspect
import os
import shlex
import shutil
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from medsr.batch.progress import Update, progress
from medsr.commands.cohort import bids, dask_executor, find, local_executor, page, plan, results, slurm_executor
from medsr.commands.cohort.options import whole
from medsr.commands.cohort.plan import Command, Plan
from medsr.commands.cohort.results import Standing
from medsr.core.errors import UsageError
from medsr.core.text import shown
from medsr.core.types import Notify
from medsr.engines.base import Compute
from medsr.io.images import image as image_io
from medsr.io.images.frames import canonical

Name = Literal["local", "slurm", "dask"]
LEFT_OUT = ("scans", "inputs", "out", "skip_done", "on_outcome", "notify")
"""What `medsr volume` and `medsr upscale` take that is not the same for every input."""
ONE_SCAN = ("also", "series")


@dataclass(frozen=True)
class Engine:
    """Where the work is done.

    `workers`: processes of local and dask (0: one for each device). `address`: of Dask's scheduler. `per_task`,
    `throttle`, `sbatch`: of Slurm's array. `wait`: until all is done; else only submit (Slurm).
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
            raise UsageError(f"--engine {self.name}: expected one of {', '.join(get_args(Name))}")
        if self.per_task < 1 or self.throttle < 0 or self.workers < 0:
            raise UsageError("--per-task, --throttle, --workers: expected whole numbers, 1 or more to a task")


def cohort(
    command: Command,
    inputs: str | Path | Sequence[str | Path],
    *,
    out: str | Path,
    on: Engine = Engine(),
    suffixes: Sequence[str] = ("T1w",),
    skip_done: bool = False,
    notify: Notify = lambda _: None,
    **options: Any,
) -> Standing:
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
        >>> standing = medsr.cohort("volume", "scans", out="finer-scans", model="cubic")
        >>> len(standing.done), len(standing.failed)
        (2, 0)
    """
    given = [str(inputs)] if isinstance(inputs, str | Path) else [str(one) for one in inputs]
    folder = Path(os.path.abspath(out))
    made = _plan(command, given, folder, suffixes, skip_done, options, notify)
    _check_engine(on)
    with plan.alone(folder):
        _put_away(folder)
        made.save()
        return _do(made, range(len(made.units)), on, notify)


def retry(out: str | Path, on: Engine = Engine(), notify: Notify = lambda _: None) -> Standing:
    """Do again, as it was asked for, what of a cohort failed or was never done."""
    made = plan.load(Path(os.path.abspath(out)))
    model = whole(made.command, made.options)["model"]
    if _weights(model) != made.weights:
        raise UsageError(f"{model}: not the weights this cohort was begun with; begin it again")
    _check_engine(on)
    with plan.alone(made.out):
        _check_queue(made)
        failed = {row.output for row in results.standing(made).failed}
        again = {n for n, unit in enumerate(made.units) if shown(unit.target) in failed}
        todo = sorted(again | set(results.missing(made)))
        results.take_back(made, todo)
        return _do(made, todo, on, notify)


def finish(out: str | Path) -> Standing:
    """How a cohort stands. Where all of it is done and nobody is at work there, `status.tsv` and the page are made."""
    made = plan.load(Path(os.path.abspath(out)))
    now = results.standing(made)
    if len(now.rows) == now.total:
        with suppress(OSError, UsageError), plan.alone(made.out):  # somebody else's, or being done
            return _gathered(made)
    return now


def _do(made: Plan, todo: Sequence[int], on: Engine, notify: Notify) -> Standing:
    with progress(f"cohort {made.command}", len(todo)) as update:
        try:
            if todo:
                _start(made, todo, on, update, notify)
        finally:
            now = results.gather(made)
    if on.wait:
        results.give_up(made, results.missing(made, todo), "never done: its worker ended without a word")
        results.sweep(made)
        now = _gathered(made)
    return now


def _start(made: Plan, todo: Sequence[int], on: Engine, update: Update, notify: Notify) -> None:
    ended = failed = 0

    def on_done(failures: int) -> None:
        nonlocal ended, failed
        ended, failed = ended + 1, failed + failures
        update(min(ended, len(todo)), f"{failed} failed")

    def on_change() -> None:
        now = results.standing(made)
        update(max(0, len(now.rows) - now.total + len(todo)), f"{len(now.failed)} failed")

    if on.name == "local":
        local_executor.run(made, todo, on.workers, on_done)
    elif on.name == "dask":
        dask_executor.run(made, todo, on.address, on.workers, on_done)
    else:
        wanted = slurm_executor.Wanted(on.per_task, on.throttle, _split(on.sbatch))
        slurm_executor.run(made, todo, wanted, on_change, notify, on.wait)


def _gathered(made: Plan) -> Standing:
    """Everything that stands beside the results of a whole cohort."""
    now = results.gather(made)
    if made.bids:
        bids.describe(Path(made.bids), made.out, f"medsr {made.command}")
    if len(now.rows) == now.total:
        page.write(made, now)
    return now


def _put_away(folder: Path) -> None:
    """What an earlier cohort in this folder wrote down goes into `status.tsv`; its workers find no plan any more."""
    try:
        before = plan.load(folder)
    except UsageError:
        return
    _check_queue(before)
    results.gather(before)
    shutil.rmtree(before.hidden, ignore_errors=True)


def _check_queue(made: Plan) -> None:
    if jobs := slurm_executor.queued(made):
        raise UsageError(f"{made.out}: Slurm still has {', '.join(jobs)} of it; wait for it, or scancel it")


def _check_engine(on: Engine) -> None:
    """Raise UsageError for an engine there is not, before anything is touched."""
    if on.name == "slurm":
        slurm_executor.check()
        _split(on.sbatch)


def _split(options: str) -> tuple[str, ...]:
    try:
        return tuple(shlex.split(options))
    except ValueError as error:
        raise UsageError(f"--sbatch {options}: {error}") from error


def _plan(
    command: Command,
    inputs: list[str],
    out: Path,
    suffixes: Sequence[str],
    skip_done: bool,
    options: dict[str, Any],
    notify: Notify,
) -> Plan:
    given = _options(command, options)
    root = find.dataset(inputs) if command == "volume" else None
    if root is not None:
        if given["dicom"]:
            raise UsageError("--dicom: BIDS datasets hold NIfTI")
        bids.check(root, out)
        found = find.of_dataset(root, out, suffixes, given["uncertainty"])
    elif command == "volume":
        found = find.scans(inputs, out, given["dicom"], given["uncertainty"])
    else:
        found = find.images(inputs, out)
        if given["assumed_bits"] is None and not given["bits"]:  # here, for all: a worker sees only its own
            given["assumed_bits"] = image_io.decide_depth((Path(unit.source) for unit in found.units), given["frames"])
    for note in found.notes:
        notify(note)
    clashes = tuple((os.path.abspath(source), reason) for source, reason in found.clashes)
    dataset = None if root is None else str(root)
    return Plan(command, out, given, tuple(found.units), dataset, skip_done, _weights(given["model"]), clashes)


def _options(command: Command, options: dict[str, Any]) -> dict[str, Any]:
    """All of the command's options, with their defaults. Raises UsageError for others."""
    from medsr.commands.upscale.run import check_outscale, upscale
    from medsr.commands.volume.run import asked, volume

    if command not in get_args(Command):
        raise UsageError(f"cohort {command}: expected volume or upscale")
    known = inspect.signature(volume if command == "volume" else upscale).parameters
    defaults = {name: one.default for name, one in known.items() if name not in LEFT_OUT}
    for name, value in options.items():
        if name not in defaults:
            raise UsageError(f"cohort {command}: no option {name}")
        if name in ONE_SCAN and value:
            raise UsageError(f"--{name}: belongs to one scan, not to a cohort")
    given = defaults | options
    given["model"] = _lasting(str(given["model"]))
    named = dict(given)
    compute = Compute(*(named.pop(name) for name in ("device", "engine", "precision", "max_gpu_memory", "compiled")))
    if command == "volume":
        asked(**named, compute=compute)
    else:
        check_outscale(given["outscale"])
        given["frames"] = given["frames"] and canonical(given["frames"])
    return given


def _lasting(model: str) -> str:
    """A weight file's whole path: workers may begin elsewhere."""
    return os.path.abspath(model) if Path(model).is_file() else model


def _weights(model: str) -> str | None:
    """The hash of a model's weights. Raises WeightsError here and now, rather than on every node."""
    from medsr.volumes.models import weights_hash

    return weights_hash(model)
