"""`medsr export`"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from medsr.cli.batch import BITS
from medsr.cli.echo import echo


def export(
    model: Annotated[str, typer.Argument(help="A name from `medsr weights list`, or a weight file.")],
    to: Annotated[str, typer.Option(help="openvino, onnx, or openmodeldb: the card to publish it with.")],
    out: Annotated[
        Path | None,
        typer.Option(help="FILE.xml, .onnx or .json. [default: where --engine openvino and --precision int8 find it]"),
    ] = None,
    int8: Annotated[
        bool, typer.Option("--int8", help="Quantise after training: up to three times faster on a CPU.")
    ] = False,
    calibrate: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FOLDER",
            help="Images of the kind the model serves, to measure int8 or bf16 on; again for another kind.",
        ),
    ] = None,
    bits: Annotated[int | None, typer.Option(min=8, max=16, help=BITS)] = None,
) -> None:
    """Write a model for OpenVINO or ONNX, in fp32 or int8, with its card; or the card alone, for OpenModelDB."""
    from medsr.commands.export.run import export as run

    done = run(model, to, out=out, int8=int8, calibrate=calibrate, bits=bits, notify=lambda line: echo(line, err=True))
    echo(f"{done.path}  {done.card.get('precision', '')}".rstrip())
    if seconds := done.card.get("seconds"):
        times = f"{seconds['openvino']:.3f} s where torch takes {seconds['torch']:.3f}"
        echo(f"differs from torch by at most {done.card['difference']:.1e} of full range; {times}")
    if measured := done.card.get("measured"):
        echo(
            f"PSNR {measured['psnr_fp32']:.2f} dB in fp32, {measured['psnr_int8']:.2f} dB in int8, on "
            f"{measured['images']} images or slices ({measured['protocol']})"
        )
        echo(
            f"the worst image loses {max(0, measured['worst_loss_db']):.2f} dB; a single pixel differs by up to "
            f"{measured['largest_difference']:.1%} of full range"
        )
