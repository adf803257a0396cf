"""`medsr finetune`"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from medsr.cli.batch import BITS
from medsr.cli.echo import echo


def finetune(
    recipe: Annotated[
        str, typer.Argument(help="A recipe file, or the name of one that came with medsr (retina).")
    ] = "",
    data: Annotated[Path | None, typer.Option(help="Folder of ground-truth images.")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder of the run. [default: runs/RECIPE-TIME]")] = None,
    overrides: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change a value of the recipe.")
    ] = None,
    resume: Annotated[
        Path | None, typer.Option(metavar="RUN", help="Go on with a run, exactly where it was saved.")
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
    bits: Annotated[int | None, typer.Option(min=8, max=16, help=BITS)] = None,
    seed: Annotated[int | None, typer.Option(help="Replaces the recipe's seed.")] = None,
    accept_new_data: Annotated[
        bool, typer.Option("--accept-new-data", help="With --resume: train on files added or changed since, too.")
    ] = False,
) -> None:
    """Fine-tune a generator on your own images."""
    from medsr.core.errors import UsageError
    from medsr.recipe import load

    if bits is not None:
        overrides = [*(overrides or []), f"data.bits={bits}"]
    if resume is None:
        if accept_new_data:
            raise UsageError("--accept-new-data: goes with --resume RUN")
        if not recipe:
            raise UsageError("finetune needs a recipe, for example: medsr finetune retina --data DIR")
        load(recipe, overrides or [])  # a wrong recipe is refused before torch is imported
    from medsr.commands import finetune as run

    result = run.finetune(
        recipe,
        data,
        out=out,
        overrides=overrides,
        resume=resume,
        device=device,
        seed=seed,
        notify=echo,
        accept_new_data=accept_new_data,
    )
    for line in run.describe(result):
        echo(line)
