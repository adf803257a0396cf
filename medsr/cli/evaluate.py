"""`medsr evaluate`"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from medsr.cli.batch import BITS, end_evaluation, parse_tile
from medsr.cli.echo import echo
from medsr.cli.evaluate_lesions import evaluate_lesions, refuse
from medsr.cli.minutes import MINUTES
from medsr.commands.evaluate.benchmarks import ENTRIES, LESIONS, STACKS, listing
from medsr.lesions.kinds import KINDS

_SCALES = "; ".join(["2", *(f"{entry.name}: {entry.default_scale:g}" for entry in ENTRIES if entry.default_scale != 2)])
_BLURRED = listing(lambda entry: entry.blur)
_TRACKS = " ".join(
    f"Of {entry.name}: {' or '.join(entry.tracks)}. [default: {entry.tracks[0]}]" for entry in ENTRIES if entry.tracks
)
_VOLUMES = listing(lambda entry: entry.kind == "volume")
_STACKED = listing(lambda entry: entry.stacked)


def evaluate(
    benchmark: Annotated[str, typer.Argument(help=f"{listing(last='or')}; or {LESIONS}: what is left of lesions.")],
    data: Annotated[Path, typer.Option(help="Folder of the data set as its owner ships it, or of ground truth.")],
    model: Annotated[
        list[str] | None,
        typer.Option(help="Repeat for several: a known name, a weight file, or a baseline. [default: the bundled one]"),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Folder for report.html, results.md and CSV.")] = None,
    json_: Annotated[Path | None, typer.Option("--json", metavar="FILE", help="Everything, as JSON.")] = None,
    scale: Annotated[
        float | None, typer.Option(help=f"Factor; of volumes, through-plane. [default: {_SCALES}]")
    ] = None,
    blur_sigma: Annotated[
        float | None,
        typer.Option(help=f"Gaussian blur of {_BLURRED}, in low-resolution pixels. [default: 1.0]"),
    ] = None,
    track: Annotated[str | None, typer.Option(help=_TRACKS)] = None,
    planes: Annotated[
        str, typer.Option(help=f"Of {_VOLUMES}: auto, all, or planes with commas, as in medsr volume.")
    ] = "auto",
    fuse: Annotated[
        str, typer.Option(help=f"Of {_VOLUMES}: mean, median, weighted, learned, or the file of a fusion network.")
    ] = "mean",
    no_consistency: Annotated[
        bool, typer.Option("--no-consistency", help="Networks' results as they made them.")
    ] = False,
    adapt: Annotated[
        float | None,
        typer.Option(
            metavar="[MINUTES]",
            help=f"Of {_VOLUMES}: networks first learn from each thick scan. [alone: {MINUTES} minutes]",
        ),
    ] = None,
    stacks: Annotated[
        int | None,
        typer.Option(
            min=STACKS[0],
            max=STACKS[-1],
            help=f"Of {_STACKED}: make so many thick stacks of each scan, the patient moved between them, and put them "
            "together.",
        ),
    ] = None,
    kind: Annotated[str | None, typer.Option(help=f"Of lesions: {' or '.join(KINDS)}.")] = None,
    rounds: Annotated[
        int | None,
        typer.Option(
            min=1, help="Of lesions: how often they are drawn into each image. [default: 5, cxr: 3, fundus: 2]"
        ),
    ] = None,
    masks: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Of lesions: readers' masks, named as the images, then _mask.")
    ] = None,
    pixel_mm: Annotated[
        float | None,
        typer.Option(help="Of lesions in cxr: mm of the chest in a pixel. [default: as the header says, else 0.4]"),
    ] = None,
    seed: Annotated[
        int | None, typer.Option(min=0, help="Of lesions: which are drawn, and where. [default: 0]")
    ] = None,
    inputs: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Also write every low resolution here, for another program.")
    ] = None,
    results: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=DIR", help="Repeat for several: what another program made of the --inputs."),
    ] = None,
    limit: Annotated[int | None, typer.Option(help="Measure only so many images, drawn with a fixed seed.")] = None,
    tile: Annotated[str, typer.Option(help="auto, or a side in pixels of the input; 0 for one piece.")] = "auto",
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
    bits: Annotated[int | None, typer.Option(min=8, max=16, help=BITS)] = None,
    skip_done: Annotated[
        bool, typer.Option("--skip-done", help="Leave out what was measured into --out before, in the same way.")
    ] = False,
) -> None:
    """Measure models under one printed protocol, beside bicubic (volumes: cubic B-spline)."""
    lesion_options = {"kind": kind, "rounds": rounds, "masks": masks, "pixel_mm": pixel_mm, "seed": seed}
    if benchmark == LESIONS:
        others = {
            "planes": planes != "auto",
            "fuse": fuse != "mean",
            "no_consistency": no_consistency,
            "adapt": adapt,
            "stacks": stacks,
            "track": track,
            "inputs": inputs,
            "results": results or None,
            "skip_done": skip_done,
        }
        refuse(others, f"{LESIONS} has none")
        evaluate_lesions(
            lesion_options,
            data=data,
            models=model or (),
            out=out,
            json=json_,
            scale=scale,
            blur_sigma=blur_sigma,
            limit=limit,
            device=device,
            tile=parse_tile(tile),
            bits=bits,
        )
        return
    refuse(lesion_options, f"{benchmark} has none; {LESIONS} has")
    from medsr.commands.evaluate import tables
    from medsr.commands.evaluate.external import parse
    from medsr.commands.evaluate.run import evaluate as run

    result = run(
        benchmark,
        data,
        models=model or (),
        out=out,
        json=json_,
        scale=scale,
        blur_sigma=blur_sigma,
        track=track,
        planes=planes,
        fuse=fuse,
        consistency=not no_consistency,
        adapt=adapt,
        stacks=stacks,
        inputs=inputs,
        results=parse(results or ()),
        limit=limit,
        device=device,
        tile=parse_tile(tile),
        skip_done=skip_done,
        bits=bits,
        notify=lambda line: echo(line, err=True),
    )
    end_evaluation(tables.text(result), out, result.failed, len(result.ids))
