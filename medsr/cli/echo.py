"""The one door by which commands write to the terminal: no foreign text moves the cursor, colours or retitles."""

from __future__ import annotations

import typer

from medsr.core.text import shown


def echo(text: object = "", err: bool = False) -> None:
    """Print `text`, line by line as `text.shown` has it. `err`: to the standard error stream."""
    typer.echo("\n".join(map(shown, str(text).split("\n"))), err=err)
