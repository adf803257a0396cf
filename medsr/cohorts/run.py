"""`medsr cohort`: plan, let an engine do it, gather what came of it."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from medsr.cohorts import bids, dasks, find, local, page, plan, results, slurm
from medsr.cohorts.plan import Command, Plan
from medsr.cohorts.results import Standing
from medsr.errors import UsageError
from medsr.progress import progress

Name = Literal["local", "slurm", "dask"]
LEFT_OUT = ("scans", "inputs", "out", "affine", "skip_done", "on_outcome", "say")
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
    out: str | Path,
    on: Engine = Engine(),
    suffixes: Sequence[str] = ("T1w",),
    skip_done: bool = False,
    **options: Any,
) -> Standing:
    """`medsr volume` or `medsr upscale` over many inputs, each done once, wherever `on` says.

    `inputs`: folders (searched below), globs, list files (.txt, a path each line), or the root of a BIDS dataset, of
    which the images with one of `suffixes` become derivatives in `out`. `options`: those of `medsr.volume` or
    `medsr.upscale`. Writes `out`/status.tsv and `out`/cohort.html; failed inputs are rows with their reason.

    Raises UsageError or WeightsError when nothing can be begun.
    """
    given = [str(inputs)] if isinstance(inputs, str | Path) else [str(one) for one in inputs]
    made = _plan(command, given, Path(os.path.abspath(out)), suffixes, skip_done, options)
    _check_model(made)
    return _do(made, range(len(made.units)), on)


def retry(out: str | Path, on: Engine = Engine()) -> Standing:
    """Do again, as it was asked for, what of a cohort failed or was never done."""
    made = plan.load(Path(os.path.abspath(out)))
    failed = {row.output for row in results.gather(made).failed}
    todo = [n for n, unit in enumerate(made.units) if unit.target in failed]
    return _do(made, sorted({*todo, *results.missing(made)}), on, anew=False)


def _do(made: Plan, todo: Sequence[int], engine: Engine, anew: bool = True) -> Standing:
    made.save()
    if anew:
        results.forget(made)
    else:
        results.take_back(made, todo)
    with progress(f"cohort {made.command}", len(todo)) as update:

        def on_change() -> None:
            now = results.standing(made)
            before = len(made.units) - len(todo)
            update(max(0, len(now.rows) - before), f"{len(now.failed)} failed")

        _engines(engine)(made, todo, on_change)
    return finish(made)


def _engines(engine: Engine) -> Callable[[Plan, Sequence[int], Callable[[], None]], None]:
    def start(made: Plan, todo: Sequence[int], on_change: Callable[[], None]) -> None:
        if not todo:
            return
        if engine.name == "local":
            local.run(made, todo, engine.workers, on_change)
        elif engine.name == "dask":
            dasks.run(made, todo, engine.address, engine.workers, on_change)
        else:
            slurm.run(made, todo, engine.per_task, engine.throttle, engine.sbatch, on_change, engine.wait)

    return start


def finish(made: Plan) -> Standing:
    """Gather what has been written down; the page, once that is all."""
    now = results.gather(made)
    if made.bids:
        bids.describe(Path(made.bids), made.out, f"medsr {made.command}")
    if len(now.rows) == now.total:
        results.sweep(made)
        page.write(made, now)
    return now


def _plan(
    command: Command, inputs: list[str], out: Path, suffixes: Sequence[str], skip_done: bool, options: dict[str, Any]
) -> Plan:
    asked = _options(command, options)
    root = find.dataset(inputs) if command == "volume" else None
    if root is not None:
        units = find.of_dataset(root, out, suffixes)
    elif command == "volume":
        units = find.scans(inputs, out, asked["dicom"], asked["uncertainty"])
    else:
        units = find.images(inputs, out)
    return Plan(command, out, asked, tuple(units), None if root is None else str(root), skip_done)


def _options(command: Command, options: dict[str, Any]) -> dict[str, Any]:
    """All of the command's options, with their defaults. Raises UsageError for others."""
    from medsr.infer.batch import upscale
    from medsr.scan.run import volume

    if command not in get_args(Command):
        raise UsageError(f"cohort {command}: expected volume or upscale")
    known = inspect.signature(volume if command == "volume" else upscale).parameters
    defaults = {name: one.default for name, one in known.items() if name not in LEFT_OUT}
    for name, value in options.items():
        if name not in defaults:
            raise UsageError(f"cohort {command}: no option {name}")
        if name in ONE_SCAN and value:
            raise UsageError(f"--{name}: belongs to one scan, not to a cohort")
    asked = defaults | options
    asked["model"] = _lasting(str(asked["model"]))
    return asked


def _lasting(model: str) -> str:
    """A weight file's whole path: workers may begin elsewhere."""
    return os.path.abspath(model) if Path(model).is_file() else model


def _check_model(made: Plan) -> None:
    """Raise WeightsError here and now, rather than on every node."""
    from medsr.infer.models import weights_hash

    weights_hash(made.options["model"])
