"""`medsr compare`"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from medsr.cli.batch import BITS
from medsr.cli.echo import echo


def compare(
    recipes: Annotated[list[str], typer.Argument(help="Recipe files, or names of those that came with medsr.")],
    data: Annotated[Path | None, typer.Option(help="Folder of ground-truth images.")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder of the comparison. [default: runs/compare-TIME]")] = None,
    minutes: Annotated[
        float, typer.Option(help="Of training for each, validation not counted; 0: as long as each recipe says.")
    ] = 5.0,
    overrides: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change a value of every recipe.")
    ] = None,
    bits: Annotated[int | None, typer.Option(min=8, max=16, help=BITS)] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
    seed: Annotated[int | None, typer.Option(help="Replaces the recipes' seed.")] = None,
    accept_new_data: Annotated[
        bool, typer.Option("--accept-new-data", help="Going on: train on files added or changed since, too.")
    ] = False,
    json_: Annotated[Path | None, typer.Option("--json", metavar="FILE", help="Everything, as JSON.")] = None,
) -> None:
    """Train several recipes on the same images under the same budget; one page."""
    if bits is not None:
        overrides = [*(overrides or []), f"data.bits={bits}"]
    from medsr.cli.batch import end_partly
    from medsr.commands.compare import page
    from medsr.commands.compare.run import compare as run

    result = run(
        recipes,
        data,
        out=out,
        minutes=minutes or None,
        overrides=overrides or [],
        device=device,
        seed=seed,
        json_file=json_,
        notify=echo,
        accept_new_data=accept_new_data,
    )
    baseline = "interpolation"
    table = [page.header(baseline, result.entries[0].bicubic), *page.rows(result.entries, baseline)]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    for row in table:
        cells = [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]
        echo("  ".join(cells).rstrip())
    for remark in page.remarks(result.entries, baseline):
        echo(remark)
    for failed in result.failed:
        echo(f"medsr: {failed.name}: {failed.reason}", err=True)
    echo(f"page: {result.page}")
    if result.failed:
        end_partly(len(result.failed), len(recipes))
