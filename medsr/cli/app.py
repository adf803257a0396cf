"""The `medsr` command and its subcommands."""

from __future__ import annotations

import typer

from medsr.cli import (
    cohort,
    compare,
    demo,
    evaluate,
    export,
    finetune,
    info,
    models,
    prepare,
    reproduce,
    serve,
    upscale,
    volume,
    weights,
)
from medsr.cli.echo import echo
from medsr.cli.examples import add_examples
from medsr.cli.minutes import OptionalMinutes
from medsr.cli.root import app as app
from medsr.core.version import __version__

app.command("demo")(demo.demo)
app.command("finetune")(finetune.finetune)
app.command("compare")(compare.compare)
app.command("upscale", help=upscale.HELP)(upscale.upscale)
app.command("volume", cls=OptionalMinutes)(volume.volume)
app.command("prepare")(prepare.prepare)
app.command("evaluate", cls=OptionalMinutes)(evaluate.evaluate)
app.command("reproduce")(reproduce.reproduce)
app.command("serve")(serve.serve)
app.command("export")(export.export)
app.command("models")(models.models)
app.command("info")(info.info)
app.add_typer(cohort.app, name="cohort")
app.add_typer(weights.app, name="weights")
add_examples(app)


def _version(wanted: bool) -> None:
    if wanted:
        echo(f"medsr {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: bool = typer.Option(False, "--version", callback=_version, is_eager=True, help="Print the version."),
) -> None:
    pass
