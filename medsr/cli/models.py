"""`medsr models`"""

from __future__ import annotations

import json
import shutil
import textwrap
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from medsr.cli.echo import echo, echo_verbatim

if TYPE_CHECKING:
    from medsr.commands.models.networks import NetworkRow
    from medsr.commands.models.recipes import RecipeRow
    from medsr.commands.models.run import ModelRow

INDENT = "    "
WIDTH = 60
"""Characters of a line at least, where a terminal is narrower."""
MORE = "The networks of recipes: medsr models networks. Recipes: medsr models recipes. All weights: medsr weights list."


def models(
    what: Annotated[
        str, typer.Argument(metavar="WHAT", help="models, networks (of recipes) or recipes (of finetune).")
    ] = "models",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List the models that upscale, volume and evaluate take; also networks and recipes."""
    from medsr.commands.models.run import models as run

    rows = run(what)
    if as_json:
        echo_verbatim(json.dumps([asdict(row) for row in rows], indent=1))
        return
    for row in rows:
        for line in _lines(row):
            echo(line)
    if what == "models":
        echo(MORE)


def _lines(row: ModelRow | NetworkRow | RecipeRow) -> list[str]:
    from medsr.commands.models.networks import NetworkRow
    from medsr.commands.models.run import ModelRow

    scale = f"x{row.scale}" if row.scale else "-"
    if isinstance(row, ModelRow):
        return [f"{row.name:<24} {row.takes:<7} {scale:<3} {'here' if row.here else 'absent':<7} {row.about}"]
    if isinstance(row, NetworkRow):
        cost = f"{row.parameters:>12,} parameters {row.operations / 1e9:>8,.0f} GMAC/Mpixel"
        return [f"{row.name:<22} {scale:<3} {cost}  {row.source}"]
    width = max(WIDTH, shutil.get_terminal_size().columns) - len(INDENT)
    about = [f"{INDENT}{line}" for line in textwrap.wrap(row.about, width, break_on_hyphens=False)]
    return [f"{row.name:<22} {scale:<3} from {row.start_from or 'fresh weights'}", *about]
