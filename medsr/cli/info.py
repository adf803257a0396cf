"""`medsr info`"""

from __future__ import annotations

from typing import Annotated

import typer

from medsr.cli.echo import echo, echo_verbatim


def info(
    json_: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    devices: Annotated[bool, typer.Option("--devices", help="Also look for GPUs (imports torch).")] = False,
) -> None:
    """Versions, models at hand, where things are kept."""
    from medsr.commands.info import collect

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
