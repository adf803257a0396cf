"""The command line: parse, call one library function, print."""

from __future__ import annotations

import os
import signal
import sys
import warnings

from medsr.text import ESCAPED, shown


def main() -> None:
    """Run `medsr` and end with the exit code of what happened."""
    from medsr import isolation

    isolation.leave_working_folder()
    isolation.isolate_children()
    from medsr.cli.app import app
    from medsr.errors import MedsrError

    _open_streams()
    signal.signal(signal.SIGTERM, _terminated)
    debug = "--debug" in sys.argv
    if not debug:
        warnings.simplefilter("ignore")  # libraries' warnings are for developers; ours are printed as text
    os.environ.setdefault("PYTORCH_ENABLE_MPS_FALLBACK", "1")
    arguments = [argument for argument in sys.argv[1:] if argument != "--debug"]
    try:
        code = app(arguments, prog_name="medsr", standalone_mode=True)
    except MedsrError as error:
        from medsr.cli.batch import as_options

        code = _fail(error, as_options(str(error)), error.exit_code, debug)
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        code = _fail(error, f"{where}{error.strerror or error}", 1, debug)
    except KeyboardInterrupt:
        print("medsr: interrupted", file=sys.stderr)
        code = 130
    except Exception as error:
        reason = f"{type(error).__name__}: {error}; this is a bug in medsr, run again with --debug and report it"
        code = _fail(error, reason, 1, debug)
    sys.exit(code)


def _open_streams() -> None:
    """Standard streams that were closed lead nowhere, so that no file of ours gets their number and their text.

    Names that are not UTF-8 are printed escaped.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the lowest number that is free: this one
    if sys.stdin is None:
        sys.stdin = open(os.devnull, encoding="utf-8")  # noqa: SIM115 (for as long as the process lives)
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115
        elif hasattr(stream := getattr(sys, name), "reconfigure"):
            stream.reconfigure(errors=ESCAPED)


def _terminated(*_: object) -> None:
    """Leave through every `finally`, so that no temporary file stays behind."""
    print("medsr: terminated", file=sys.stderr)
    raise SystemExit(143)


def _fail(error: BaseException, message: str, code: int, debug: bool) -> int:
    if debug:
        import traceback

        traceback.print_exception(error)
    print(f"medsr: {shown(' '.join(message.split()))}", file=sys.stderr)
    return code
