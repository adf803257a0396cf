"""`medsr demo`"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from medsr.cli.echo import echo


def demo(
    out: Annotated[Path, typer.Option(help="Folder for everything the demo makes.")] = Path("medsr-demo"),
    full: Annotated[
        bool,
        typer.Option(
            "--full",
            help="Fine-tune the official Real-ESRGAN generator, x4 (medsr weights fetch realesrgan-x4plus brings it).",
        ),
    ] = False,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
) -> None:
    """Fine-tune and super-resolve a real fundus photograph that comes with the installation, in minutes."""
    from medsr.commands.demo import demo as run

    run(out, device, full=full, notify=echo)
