"""`medsr serve`"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from medsr.cli.batch import ENGINE, MAX_GPU_MEMORY, PRECISION
from medsr.cli.echo import echo


def serve(
    host: Annotated[
        str, typer.Option(help="Address to listen at; another than this machine's own needs a token.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen at; 0 for any free one.")] = 8737,
    models: Annotated[
        list[str] | None,
        typer.Option(
            "--model", help="Offer only this model: a name or a weight file. Several times for several. [default: all]"
        ),
    ] = None,
    token: Annotated[
        str | None,
        typer.Option(envvar="MEDSR_TOKEN", help="What users must know, 16 characters or more. [default: made for you]"),
    ] = None,
    certificate: Annotated[Path | None, typer.Option(help="Certificate (PEM), for HTTPS.")] = None,
    key: Annotated[Path | None, typer.Option(help="The certificate's key (PEM).")] = None,
    max_upload: Annotated[float, typer.Option(metavar="MB", help="Largest file.")] = 512,
    max_megapixels: Annotated[float, typer.Option(help="Largest image as a result.")] = 64,
    max_megavoxels: Annotated[float, typer.Option(help="Largest scan as a result.")] = 256,
    max_minutes: Annotated[float, typer.Option(help="Longest job.")] = 30,
    keep: Annotated[float, typer.Option(metavar="MINUTES", help="How long files and results are kept.")] = 60,
    max_stored: Annotated[float, typer.Option(metavar="MB", help="Files and results of one user.")] = 8000,
    max_connections: Annotated[int, typer.Option(help="Connections of one address at once.")] = 100,
    folder: Annotated[
        Path | None, typer.Option(help="Where they are kept, in a private folder. [default: the system's]")
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, mps, or gpu (Intel's, by OpenVINO).")] = "auto",
    engine: Annotated[str, typer.Option(help=ENGINE)] = "auto",
    precision: Annotated[str, typer.Option(help=PRECISION)] = "auto",
    max_gpu_memory: Annotated[float | None, typer.Option(metavar="GB", help=MAX_GPU_MEMORY)] = None,
) -> None:
    """Show in a browser what models do to your own images and scans; nothing leaves this machine."""
    from medsr.commands.serve.run import serve as run

    run(
        host,
        port,
        models=models or (),
        token=token,
        certificate=certificate,
        key=key,
        max_upload=max_upload,
        max_megapixels=max_megapixels,
        max_megavoxels=max_megavoxels,
        max_minutes=max_minutes,
        keep=keep,
        max_stored=max_stored,
        max_connections=max_connections,
        folder=folder,
        device=device,
        engine=engine,
        precision=precision,
        max_gpu_memory=max_gpu_memory,
        notify=echo,
    )
