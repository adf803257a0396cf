"""`medsr prepare`"""

from __future__ import annotations

from typing import Annotated

import typer

from medsr.cli.batch import BITS, end_partly, report_failure
from medsr.cli.echo import echo


def prepare(
    card: Annotated[str, typer.Argument(help="A data card that came with medsr (drive, stare, ...), or a file.")],
    source: Annotated[
        str, typer.Argument(help="What was downloaded: a folder, archives in it included, or an archive.")
    ],
    out: Annotated[str, typer.Option(help="Folder for the ground truth and its manifest.")],
    workers: Annotated[int | None, typer.Option(help="Processes. [default: one a core, at most 4]")] = None,
    crop: Annotated[int | None, typer.Option(help="Cut into squares of so many pixels.")] = None,
    stride: Annotated[int | None, typer.Option(help="From one crop to the next. [default: the crop]")] = None,
    bits: Annotated[int | None, typer.Option(min=8, max=16, help=BITS)] = None,
    seed: Annotated[int | None, typer.Option(help="Of the split into parts.")] = None,
    overrides: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change a value of the card.")
    ] = None,
) -> None:
    """Make ground truth of a data set as its owner ships it: parted by subject, every file accounted for."""
    from medsr.commands.prepare.page import splits_table
    from medsr.commands.prepare.run import SUMMARY
    from medsr.commands.prepare.run import prepare as run
    from medsr.data.cards import IMAGE

    settings = {"ground_truth.crop": crop, "ground_truth.stride": stride, "split.seed": seed, "ground_truth.bits": bits}
    changed = [f"{key}={value}" for key, value in settings.items() if value is not None]
    result = run(
        card,
        source,
        out=out,
        workers=workers,
        overrides=[*changed, *(overrides or [])],
        notify=lambda line: echo(line, err=True),
    )
    written = [row for row in result.rows if row.file and row.role == IMAGE]
    echo(f"{result.card.title}: {len({row.id for row in written})} images, {len(written)} ground-truth files")
    for name, subjects, images, files in splits_table(result.rows).rows:
        echo(f"  {name}: {subjects} subjects, {images} images, {files} files")
    for note in result.notes:
        echo(f"note: {note}")
    echo(f"licence: {result.card.licence}")
    echo(str(result.out / SUMMARY))
    for outcome in result.failed:
        report_failure(outcome)
    end_partly(len(result.failed), len({row.id for row in result.rows}))
