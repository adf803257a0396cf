"""The one door by which commands write to the terminal: no foreign text moves the cursor, colours or retitles."""

from __future__ import annotations

import typer

from medsr.core.text import shown_lines


def echo(text: object = "", err: bool = False) -> None:
    """Print `text`, as `text.shown_lines` has it. `err`: to the standard error stream."""
    typer.echo(shown_lines(text), err=err)
