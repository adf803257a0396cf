"""`medsr info`"""

from __future__ import annotations

from typing import Annotated

import typer


def info(
    json_: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    devices: Annotated[bool, typer.Option("--devices", help="Also look for GPUs (imports torch).")] = False,
) -> None:
    """Versions, models at hand, where things are kept."""
    from medsr.info import collect

    facts = collect(devices)
    if json_:
        import json

        typer.echo(json.dumps(facts, indent=1))
        return
    for name, value in facts.items():
        if isinstance(value, dict):
            typer.echo(f"{name}:")
            for key, text in value.items():
                typer.echo(f"  {key}: {text}")
        else:
            typer.echo(f"{name}: {', '.join(value) if isinstance(value, list) else value}")
