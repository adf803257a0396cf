"""The command line: parse, call one library function, print."""

from __future__ import annotations

import os
import signal
import sys
import warnings
from collections.abc import Callable
from contextlib import suppress

from medsr.core.text import reason

INTERRUPTED = 130
"""The exit code after Ctrl-C."""


def main() -> None:
    """Run `medsr` and end with the exit code of what happened."""
    run_program(_command)


def run_program(command: Callable[[list[str]], int | None]) -> None:
    """Run a program of medsr's on the arguments it was started with, and end with the exit code of what happened."""
    from medsr.cli import streams
    from medsr.core import isolation, platform

    isolation.leave_working_folder()
    isolation.isolate_children()
    streams.open_streams()
    from medsr.cli import failures
    from medsr.core.resources import home

    for number in platform.end_signals():
        signal.signal(number, _terminated)
    debug = "--debug" in sys.argv
    warnings.showwarning = failures.warn  # type: ignore[assignment]
    if not debug:
        warnings.simplefilter("ignore")  # libraries' warnings are for developers; ours are printed as text
    os.environ.setdefault("PYTORCH_ENABLE_MPS_FALLBACK", "1")
    os.environ.setdefault("MPLCONFIGDIR", str(home() / "matplotlib"))  # its list of fonts is written nowhere else
    code = _run(command, [argument for argument in sys.argv[1:] if argument != "--debug"], debug)
    if code == 0 and (lost := streams.unwritten()):
        print(f"medsr: {lost}", file=sys.stderr)
        code = 1
    sys.exit(code)


def _command(arguments: list[str]) -> int | None:
    """`medsr` itself."""
    from medsr.cli.app import app

    code: int | None = app(arguments, prog_name="medsr", standalone_mode=False)
    return code


def _run(command: Callable[[list[str]], int | None], arguments: list[str], debug: bool) -> int:
    """Run one command; its exit code, every error told in one line."""
    import typer

    from medsr.cli import failures
    from medsr.core.errors import MedsrError

    try:
        code = command(arguments)
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except failures.CommandLineError as error:
        return failures.refuse(error)
    except typer.Abort:
        print("Aborted!", file=sys.stderr)
        return 1
    except MedsrError as error:
        return failures.fail(error, str(error), error.exit_code, debug)
    except OSError as error:
        where = f"{error.filename}: " if error.filename else "" if _has_working_folder() else "the working folder: "
        return failures.fail(error, f"{where}{error.strerror or error}", 1, debug)
    except KeyboardInterrupt:
        code = INTERRUPTED
    except Exception as error:
        words = f"{type(error).__name__}: {reason(error)}; this is a bug in medsr, run again with --debug and report it"
        return failures.fail(error, words, 1, debug)
    if code == INTERRUPTED:  # typer makes this number of it, and says nothing
        print("medsr: interrupted", file=sys.stderr)
    return code or 0


def _has_working_folder() -> bool:
    try:
        os.getcwd()
    except OSError:
        return False
    return True


def _terminated(number: int, _: object) -> None:
    """Leave through every `finally`, so that no temporary file stays behind."""
    with suppress(OSError):
        os.write(2, b"medsr: terminated\n")  # print may just be at work, and is not to be entered twice
    raise SystemExit(128 + number)
