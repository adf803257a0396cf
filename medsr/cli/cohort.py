"""`medsr cohort volume|upscale|status|retry`"""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperCommand

from medsr.cli import upscale as upscale_command
from medsr.cli import volume as volume_command
from medsr.cli.batch import OF_ARCHIVES, end_partly, parse_tile
from medsr.cli.echo import echo
from medsr.cli.group import CommandGroup
from medsr.cli.minutes import OptionalMinutes

if TYPE_CHECKING:
    from medsr.commands.cohort.executor import Executor
    from medsr.commands.cohort.results import CohortStatus

app = typer.Typer(
    cls=CommandGroup,
    help="One command over many inputs: on this machine, on Slurm, on Dask.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
Inputs = Annotated[list[str], typer.Argument(metavar="INPUT...", help="Folders, globs, list files (.txt), or BIDS.")]
Out = Annotated[Path, typer.Option(metavar="DIR", help="Folder for the results.")]
Done = Annotated[Path, typer.Argument(metavar="DIR", help="The cohort's folder of results.")]
EngineName = Annotated[str, typer.Option("--engine", help="local, slurm or dask.")]
Workers = Annotated[
    int,
    typer.Option(
        help="Processes of local and dask. [default: one for each GPU or core that memory allows; of dask one]"
    ),
]
Address = Annotated[
    str | None, typer.Option("--dask", metavar="ADDRESS", help="Of a scheduler, or its file. [default: started here]")
]
PerTask = Annotated[int, typer.Option(help="Inputs of one task of Slurm's array.")]
Throttle = Annotated[int, typer.Option(help="Tasks of the array at once. [default: any number]")]
Sbatch = Annotated[str, typer.Option(metavar="OPTIONS", help='Passed on to sbatch: "--partition=gpu --gpus=1".')]
NoWait = Annotated[bool, typer.Option("--no-wait", help="Only submit to Slurm; see medsr cohort status.")]
SkipDone = Annotated[bool, typer.Option("--skip-done", help="Leave out what status.tsv in the folder calls done.")]


def taking_options_of(
    command: Callable[..., None], kind: type[TyperCommand] = TyperCommand, without: Collection[str] = ()
) -> type[TyperCommand]:
    """A class of commands that take another command's options too, `--compute` for its `--engine`: in `context.obj`."""

    class Taking(kind):  # type: ignore[valid-type, misc]
        params: list[Any]

        def __init__(self, *args: Any, **options: Any) -> None:
            super().__init__(*args, **options)
            alone = typer.Typer(add_completion=False)
            alone.command()(command)
            own = {option.name for option in self.params} - {"engine"} | set(without)
            self.taken = [
                option
                for option in typer.main.get_command(alone).params
                if option.param_type_name == "option" and option.name not in own
            ]
            for option in self.taken:
                if option.name == "engine":
                    option.name, option.opts = "compute", ["--compute"]
            self.params += self.taken

        def invoke(self, context: Any) -> Any:
            options = {option.name: context.params.pop(option.name) for option in self.taken}
            context.obj = options | {"engine": options.pop("compute")}
            return super().invoke(context)

    return Taking


@app.command(
    "volume", cls=taking_options_of(volume_command.volume, OptionalMinutes, volume_command.TOGETHER | OF_ARCHIVES)
)
def volume(
    context: typer.Context,
    inputs: Inputs,
    out: Out,
    engine: EngineName = "local",
    workers: Workers = 0,
    dask: Address = None,
    per_task: PerTask = 8,
    throttle: Throttle = 0,
    sbatch: Sbatch = "",
    no_wait: NoWait = False,
    skip_done: SkipDone = False,
    bids_suffix: Annotated[str, typer.Option(help="Images to take of a BIDS dataset, with commas.")] = "T1w",
) -> None:
    """`medsr volume` over many scans, with its options; what it calls --engine is --compute here."""
    options = dict(context.obj)
    options["consistency"] = not options.pop("no_consistency")
    options["spacing"] = _spacing(options["spacing"])
    options["input_spacing"] = _spacing(options["input_spacing"], "input_spacing")
    options["also"] = options["also"] or ()
    options["series"] = options["series"] or None
    executor = _executor(engine, workers, dask, per_task, throttle, sbatch, no_wait)
    _begin("volume", inputs, out, executor, bids_suffix.split(","), skip_done, options)


@app.command("upscale", cls=taking_options_of(upscale_command.upscale, without=OF_ARCHIVES | {"series"}))
def upscale(
    context: typer.Context,
    inputs: Inputs,
    out: Out,
    engine: EngineName = "local",
    workers: Workers = 0,
    dask: Address = None,
    per_task: PerTask = 8,
    throttle: Throttle = 0,
    sbatch: Sbatch = "",
    no_wait: NoWait = False,
    skip_done: SkipDone = False,
) -> None:
    """`medsr upscale` over many images, with its options; what it calls --engine is --compute here."""
    options = dict(context.obj)
    options["tile"] = parse_tile(options["tile"])
    options["consistency"] = not options.pop("no_consistency")
    executor = _executor(engine, workers, dask, per_task, throttle, sbatch, no_wait)
    _begin("upscale", inputs, out, executor, (), skip_done, options)


@app.command("status")
def status(folder: Done) -> None:
    """How a cohort stands: what is done, what failed and why, what is being worked on."""
    from medsr.commands.cohort import plan as plans
    from medsr.commands.cohort.run import finish

    status = finish(folder)
    plan = plans.load(folder.absolute())
    remaining = status.total - len(status.rows)
    echo(f"{len(status.done)} of {status.total} done, {len(status.failed)} failed, {remaining} to do")
    for number in status.running:
        echo(f"working on {plan.items[number].source}")
    _tell(status)


@app.command("retry")
def retry(
    folder: Done,
    engine: EngineName = "local",
    workers: Workers = 0,
    dask: Address = None,
    per_task: PerTask = 1,
    throttle: Throttle = 0,
    sbatch: Sbatch = "",
    no_wait: NoWait = False,
) -> None:
    """Do again, with the same options, what of a cohort failed or was never done."""
    from medsr.commands.cohort.run import retry as run

    _end(run(folder, _executor(engine, workers, dask, per_task, throttle, sbatch, no_wait), notify=_say), no_wait)


@app.command("work", hidden=True)
def work(
    folder: Path,
    plan_id: Annotated[str, typer.Option("--plan")],
    array: Annotated[int, typer.Option()],
    task: Annotated[int, typer.Option()],
) -> None:
    """What a task of Slurm's array does."""
    from medsr.commands.cohort import plan as plans
    from medsr.commands.cohort import slurm_executor
    from medsr.commands.cohort.work import work as run

    plan = plans.load(folder, plan_id)
    failed = run(str(folder), plan_id, slurm_executor.task_indices(plan, array, task), f"slurm-{array}-{task:06d}")
    echo(f"task {task}: {failed} failed")  # written down: no reason for Slurm to run it again


def _spacing(text: str | None, parameter: str = "spacing") -> tuple[float, ...] | None:
    from medsr.core.geometry import parse_spacing

    return None if text is None else parse_spacing(text, parameter)


def _executor(
    name: str, workers: int, address: str | None, per_task: int, throttle: int, sbatch: str, no_wait: bool
) -> Executor:
    from medsr.commands.cohort.executor import Executor

    return Executor(name, workers, address, per_task, throttle, sbatch, not no_wait)  # type: ignore[arg-type]


def _begin(
    command: Any,
    inputs: list[str],
    out: Path,
    executor: Executor,
    suffixes: Any,
    skip_done: bool,
    options: dict[str, Any],
) -> None:
    from medsr.commands.cohort.run import cohort as run

    _end(
        run(command, inputs, out=out, on=executor, suffixes=suffixes, skip_done=skip_done, notify=_say, **options),
        not executor.wait,
    )


def _say(line: str) -> None:
    echo(line, err=True)


def _end(status: CohortStatus, submitted: bool) -> None:
    echo(f"{len(status.done)} of {status.total} done, {len(status.failed)} failed")
    _tell(status)
    end_partly(status.total - len(status.done) if not submitted else 0, status.total)


def _tell(status: CohortStatus) -> None:
    for row in status.failed:
        _say(f"medsr: {row.reason}")
