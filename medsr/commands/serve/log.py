"""The server's log: what went wrong and where in the code, never what was in a file, nor where one lies."""

from __future__ import annotations

import logging
import threading
import traceback
from pathlib import Path

from medsr.core.text import names_only, shown

_PACKAGES = Path(__file__).parents[2]


def trace(error: BaseException) -> str:
    """The kinds of the errors and the lines they came from, without their texts: a text may hold what is in a file."""
    lines: list[str] = []
    cause: BaseException | None = error
    while cause is not None and len(lines) < 200:
        lines.append(type(cause).__name__)
        frames = traceback.extract_tb(cause.__traceback__)
        lines += [f"  {_code_path(frame.filename)}, line {frame.lineno}, in {frame.name}" for frame in frames]
        cause = cause.__cause__ or (None if cause.__suppress_context__ else cause.__context__)
    return "\n".join(map(shown, lines))


def _code_path(file: str) -> str:
    """A file of code, from its package on."""
    path = Path(file)
    if path.is_relative_to(_PACKAGES):
        return str(path.relative_to(_PACKAGES))
    parts = path.parts
    return "/".join(parts[parts.index("site-packages") + 1 :]) if "site-packages" in parts else path.name


class _Lines(logging.Formatter):
    """One line for a message; then where an error came from."""

    def format(self, record: logging.LogRecord) -> str:
        line = f"{record.levelname}: {names_only(shown(record.getMessage().strip()))}"
        error = record.exc_info[1] if record.exc_info else None
        return f"{line}\n{trace(error)}" if error is not None else line


def set_up() -> None:
    """Have every part of the server log errors, and only those, through this door."""
    handler = logging.StreamHandler()
    handler.setFormatter(_Lines())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    for name in ("", "uvicorn", "uvicorn.error", "asyncio"):
        logging.getLogger(name).setLevel(logging.ERROR)
    logging.captureWarnings(True)
    threading.excepthook = _log_thread_error


def _log_thread_error(failure: threading.ExceptHookArgs) -> None:
    error = failure.exc_value
    logging.getLogger().error("a thread of the server ended", exc_info=error and (type(error), error, None))
