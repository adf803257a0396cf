"""The one door by which commands write to the terminal: no foreign text moves the cursor, colours or retitles."""

from __future__ import annotations

import typer

from medsr.batch.progress import print_above
from medsr.cli.options import as_options
from medsr.core.text import shown, shown_lines


def echo(text: object = "", err: bool = False) -> None:
    """Print `text` as one line, as `text.shown` has it: a name may hold line ends. `err`: to standard error.

    Parameters that the library names in backticks are printed as options.
    """
    _print(shown(as_options(str(text))), err)


def echo_lines(text: str, err: bool = False) -> None:
    """Print a text of several lines, as `text.shown_lines` has it, its parameters as options."""
    echo_verbatim(as_options(text), err=err)


def echo_verbatim(text: str, err: bool = False) -> None:
    """Print JSON, tracebacks and what other libraries write: lines in which a word in backticks is not an option."""
    _print(shown_lines(text), err)


def _print(text: str, err: bool) -> None:
    if not print_above(text, err):
        typer.echo(text, err=err)
