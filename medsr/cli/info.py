"""`medsr info`"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from medsr.cli.echo import echo, echo_verbatim


def info(
    scan: Annotated[
        Path | None,
        typer.Argument(
            metavar="[SCAN]", help="A folder of DICOM: its series are listed. Or a scan: how it was acquired."
        ),
    ] = None,
    json_: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    devices: Annotated[bool, typer.Option("--devices", help="Also look for GPUs (imports torch).")] = False,
) -> None:
    """Versions, models at hand, where things are kept; or the series in a folder of DICOM, or one scan."""
    from medsr.commands.info import collect

    if scan is not None:
        from medsr.io.volumes.volume_files import is_volume

        (_show_scan if scan.is_file() and is_volume(scan) else _list_series)(scan, json_)
        return
    facts = collect(devices)
    if json_:
        import json

        echo_verbatim(json.dumps(facts, indent=1))
        return
    for name, value in facts.items():
        if isinstance(value, dict):
            echo(f"{name}:")
            for key, text in value.items():
                echo(f"  {key}: {text}")
        else:
            echo(f"{name}: {', '.join(value) if isinstance(value, list) else value}")


def _show_scan(path: Path, as_json: bool) -> None:
    from medsr.commands.info import scan_facts

    facts = scan_facts(path)
    if as_json:
        import json

        echo_verbatim(json.dumps(facts, indent=1))
        return
    dims = " x ".join(map(str, facts["shape"]))
    echo(f"{path}: {facts['format']}, {dims} at {' x '.join(f'{step:.4g}' for step in facts['spacing_mm'])} mm")
    echo(f"  {facts['slices']}")
    for note in facts["notes"]:
        echo(f"  note: {note}")


def _list_series(folder: Path, as_json: bool) -> None:
    from medsr.commands.info import series_of
    from medsr.io.volumes.dicom.series_words import table

    listing, damaged = series_of(folder)
    for line in damaged:
        echo(f"left out: {line}", err=True)
    if as_json:
        import json
        from dataclasses import asdict

        echo_verbatim(json.dumps([asdict(series) for series in listing], indent=1))
        return
    echo(f"{folder}: {len(listing)} series")
    for line in table(listing):
        echo_verbatim(line)
    if len(listing) > 1:
        echo("To refine one of them: medsr volume FOLDER --series NUMBER --out FILE")
