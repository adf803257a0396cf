"""`medsr models`"""

from __future__ import annotations

import json
from typing import Annotated

import typer

from medsr.cli.echo import echo, echo_verbatim


def models(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List the networks a recipe may name: parameters, scales, operations, where they come from."""
    from medsr.commands.models import as_dicts
    from medsr.commands.models import models as run

    networks = run()
    if as_json:
        echo_verbatim(json.dumps(as_dicts(networks), indent=1))
        return
    echo(f"{'name':22} {'scale':>5} {'parameters':>12} {'GMAC/Mpixel':>12}  source")
    for network in networks:
        scale = f"x{network.scale}" if network.scale else ""
        echo(
            f"{network.name:22} {scale:>5} {network.parameters:12,} {network.operations / 1e9:12,.0f}  {network.source}"
        )
