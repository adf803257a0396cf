"""How errors, tracebacks and warnings are printed: through the one door, and without what libraries quote of a file."""

from __future__ import annotations

import io
import traceback
from collections.abc import Iterator
from typing import Any

import typer

from medsr.cli.echo import echo, echo_verbatim
from medsr.core.errors import ChoiceError, MedsrError
from medsr.core.text import reason, shown

CommandLineError: Any = next(kind for kind in typer.BadParameter.__mro__ if kind.__name__ == "ClickException")
"""What typer raises for a command line it does not understand; its own copy of click's, or click's."""


def fail(error: BaseException, message: str, code: int, debug: bool) -> int:
    """Print the one line of an error, with `debug` after its traceback; returns `code`."""
    if debug:
        for failure in _chain(error):
            echo("Traceback (most recent call last):", err=True)
            echo_verbatim("".join(traceback.format_tb(failure.__traceback__)).rstrip("\n"), err=True)
            words = str(failure) if isinstance(failure, MedsrError) else reason(failure)
            echo(f"{type(failure).__name__}: {words}", err=True)
    say(error, message)
    return code


def say(error: BaseException, message: str) -> None:
    """The one line of an error. Below it what to choose from: for this terminal alone, as headers may hold names."""
    choices = error.choices if isinstance(error, ChoiceError) else ()
    line = error.headline if isinstance(error, ChoiceError) and choices else message
    echo(f"medsr: {' '.join(line.split())}", err=True)
    for choice in choices:
        echo_verbatim(choice, err=True)


def refuse(error: Any) -> int:
    """Print how a command is used and what is wrong with this command line; returns the exit code."""
    stream = io.StringIO()
    error.show(stream)
    echo_verbatim(stream.getvalue().rstrip("\n"), err=True)
    return int(error.exit_code)


def warn(message: Warning | str, category: type[Warning], filename: str, lineno: int, *_: object) -> None:
    """For `warnings.showwarning`: a library's warning on one line."""
    words = reason(message if isinstance(message, Warning) else Warning(message))
    echo_verbatim(shown(f"{filename}:{lineno}: {category.__name__}: {words}"), err=True)


def _chain(error: BaseException) -> Iterator[BaseException]:
    """What an error came from, the first cause first."""
    before = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if before is not None:
        yield from _chain(before)
    yield error
