"""The child process's side: one task after the other, each with its progress and its end told through a pipe.

A decoder that crashes on a hostile file, or a network that runs out of memory, ends this process and not the server.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

from medsr.commands.serve.log import trace
from medsr.commands.serve.quota import BusyError
from medsr.core import platform
from medsr.core.children import end_with_parent
from medsr.core.errors import MedsrError
from medsr.core.text import ESCAPED
from medsr.core.types import OnProgress

MAX_MESSAGE_LENGTH = 2000
"""Letters of a message: a file may put anything into one."""
PROGRESS_INTERVAL = 0.2
"""Seconds between reports of progress."""


class Cancelled(BaseException):
    """Nobody wants the result any more. No Exception: nothing on the way may take it for a failure."""


def main(pipe: Connection, memory: int | None) -> None:
    """Do what comes through the pipe until it closes. `memory`: bytes of address space, None for any."""
    end_with_parent()  # a job may run for minutes, and would write into a folder that the next server removes
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a Ctrl-C at the terminal is the server's to handle
    for number in platform.end_signals():
        signal.signal(number, signal.SIG_DFL)
    if memory is not None:
        platform.limit_memory(memory, for_good=True)
    # What libraries print about a file may hold what is in it; only where our own code failed goes to the log.
    errors = os.fdopen(os.dup(2), "w", encoding="utf-8", errors=ESCAPED)
    with contextlib.suppress(OSError):
        quiet = os.open(os.devnull, os.O_WRONLY)
        os.dup2(quiet, 1)
        os.dup2(quiet, 2)
    while True:
        try:
            message = pipe.recv()
        except (EOFError, OSError):
            return
        if message[0] == "do":
            _, number, function, arguments = message
            pipe.send((number, *_execute(function, arguments, _progress_sender(pipe, number), errors)))


def _execute(
    function: Callable[..., Any], arguments: tuple[Any, ...], on_progress: OnProgress, errors: Any
) -> tuple[str, Any]:
    try:
        return "result", function(*arguments, on_progress)
    except Cancelled:
        return "cancelled", None
    except BusyError as error:
        return "busy", str(error)
    except MedsrError as error:
        return "error", str(error)[:MAX_MESSAGE_LENGTH]
    except MemoryError:
        return "error", "it takes more memory than this server has for it"
    except (BrokenPipeError, EOFError):  # the server is gone
        sys.exit(0)
    except Exception as error:
        print(f"ERROR: {trace(error)}", file=errors, flush=True)
        return "bug", None


def _progress_sender(pipe: Connection, number: int) -> OnProgress:
    """Sends progress to the server. Raises Cancelled where nobody wants the result any more."""
    last = 0.0

    def on_progress(done: float, total: float, text: str) -> None:
        nonlocal last
        while pipe.poll():
            if pipe.recv() == ("cancel", number):
                raise Cancelled
        if (now := time.monotonic()) - last >= PROGRESS_INTERVAL:
            last = now
            pipe.send((number, "progress", (done, total, text)))

    return on_progress
