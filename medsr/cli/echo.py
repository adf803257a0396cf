"""The one door by which commands write to the terminal: no foreign text moves the cursor, colours or retitles."""

from __future__ import annotations

import typer

from medsr.core.text import shown, shown_lines


def echo(text: object = "", err: bool = False) -> None:
    """Print `text` as one line, as `text.shown` has it: a name may hold line ends. `err`: to standard error."""
    typer.echo(shown(text), err=err)


def echo_lines(text: str, err: bool = False) -> None:
    """Print a text of several lines, as `text.shown_lines` has it."""
    typer.echo(shown_lines(text), err=err)
