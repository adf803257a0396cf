"""`medsr reproduce`"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from medsr.cli.echo import echo


def reproduce(
    sidecar: Annotated[Path, typer.Argument(metavar="SIDECAR", help="The .json beside a result.")],
    input_: Annotated[
        list[Path] | None,
        typer.Option(
            "--input",
            help="Where the input is now, if it was moved; for images, their folder. Several for scans put together.",
        ),
    ] = None,
    model: Annotated[str | None, typer.Option(help="Where the weight file is now, if it was moved.")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, mps, or gpu (Intel's, by OpenVINO).")] = "cpu",
) -> None:
    """Make a result again from its sidecar, and say whether it is the same."""
    from medsr.commands.reproduce import reproduce as run

    comparisons = run(sidecar, input_, model=model, device=device, notify=lambda line: echo(line, err=True))
    for comparison in comparisons:
        echo(f"{comparison.output}: {comparison.how}")
    if not all(comparison.same for comparison in comparisons):
        raise typer.Exit(1)
