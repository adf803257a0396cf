"""`medsr upscale`"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from medsr.cli.batch import (
    BITS,
    CA,
    COMPILE,
    ENGINE,
    FROM_ARCHIVE,
    KEEP_METADATA,
    MAX_GPU_MEMORY,
    PRECISION,
    STUDY,
    TO_ARCHIVE,
    end,
    parse_tile,
    report_failure,
)
from medsr.cli.echo import echo
from medsr.io.images.formats import WRITTEN, listed

if TYPE_CHECKING:
    from medsr.batch.outcome import Outcome

HELP = f"Super-resolve images: {listed([entry.name for entry in WRITTEN], 'and')}, in their own format and depth."


def upscale(
    inputs: Annotated[list[str] | None, typer.Argument(metavar="[INPUT...]", help="Images, folders or globs.")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder for the results. Not needed with --to.")] = None,
    model: Annotated[
        str,
        typer.Option(
            help="auto (the bundled one made for such an image), bicubic, lanczos, a name from `medsr weights list`, "
            "or a weight file."
        ),
    ] = "auto",
    outscale: Annotated[
        float | None, typer.Option(help="Final factor. [default: the model's own; 2 for baselines]")
    ] = None,
    tile: Annotated[str, typer.Option(help="auto, or a side in pixels of the input; 0 for one piece.")] = "auto",
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, mps, or gpu (Intel's, by OpenVINO).")] = "auto",
    bits: Annotated[int | None, typer.Option(min=8, max=16, help=BITS)] = None,
    engine: Annotated[str, typer.Option(help=ENGINE)] = "auto",
    precision: Annotated[str, typer.Option(help=PRECISION)] = "auto",
    max_gpu_memory: Annotated[float | None, typer.Option(metavar="GB", help=MAX_GPU_MEMORY)] = None,
    compiled: Annotated[bool, typer.Option("--compile", help=COMPILE)] = False,
    frames: Annotated[
        str | None, typer.Option(help="Of DICOM files that hold several: all, or numbers and ranges, as in 1-5,8.")
    ] = None,
    no_consistency: Annotated[
        bool, typer.Option("--no-consistency", help="Leave the result as the network made it.")
    ] = False,
    strength: Annotated[
        float | None,
        typer.Option(
            min=0, max=1, help="Share of the network's change, 0 to 1. [default: less where the image is sharp]"
        ),
    ] = None,
    skip_done: Annotated[
        bool, typer.Option("--skip-done", help="Leave out what status.tsv in the folder calls done.")
    ] = False,
    keep_metadata: Annotated[bool, typer.Option("--keep-metadata", help=KEEP_METADATA)] = False,
    from_archive: FROM_ARCHIVE = None,
    study: STUDY = None,
    series: Annotated[
        list[str] | None,
        typer.Option(metavar="N|TEXT|UID", help="With --from: which series of the study; may be given several times."),
    ] = None,
    to_archive: TO_ARCHIVE = None,
    ca: CA = None,
) -> None:
    """Super-resolve images in their own format and depth; `HELP` lists the formats."""
    side = parse_tile(tile)
    from medsr.commands.upscale.run import upscale as run

    outcomes = run(
        inputs or None,
        out,
        model=model,
        outscale=outscale,
        tile=side,
        device=device,
        bits=bits,
        engine=engine,
        precision=precision,
        max_gpu_memory=max_gpu_memory,
        compiled=compiled,
        skip_done=skip_done,
        consistency=not no_consistency,
        strength=strength,
        frames=frames,
        keep_metadata=keep_metadata,
        from_archive=from_archive,
        study=study,
        series=series or None,
        to_archive=to_archive,
        ca=ca,
        on_outcome=_tell,
        notify=lambda line: echo(line, err=True),
    )
    warned = sum(bool(outcome.warnings) for outcome in outcomes)
    if warned and len(outcomes) > 1:
        echo(f"medsr: {warned} of {len(outcomes)} results carry a warning", err=True)
    end(outcomes)


def _tell(outcome: Outcome) -> None:
    if outcome.skipped:
        echo(f"{outcome.output}  done before")
    elif not report_failure(outcome):
        rest = [note for note in outcome.notes if note not in outcome.warnings]
        notes = f"  ({'; '.join(rest)})" if rest else ""
        echo(f"{outcome.output}  {outcome.seconds:.1f} s{notes}")
        for warning in outcome.warnings:
            echo(f"{outcome.output.name}: {warning}", err=True)
