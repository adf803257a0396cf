"""The server's side of a child process that does one task at a time; it is started anew when it ends."""

from __future__ import annotations

import itertools
import multiprocessing
import threading
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

from medsr.commands.serve import child
from medsr.commands.serve.child import Cancelled
from medsr.commands.serve.quota import BusyError
from medsr.core.errors import InputError, MedsrError
from medsr.core.isolation import isolate_children
from medsr.core.types import OnProgress

POLL = 0.1
GRACE = 5.0


class BugError(MedsrError):
    """Something of ours went wrong; the server's own log says what."""

    def __init__(self) -> None:
        super().__init__("an error in medsr itself; the server's log has the details")


class Worker:
    """A child process. `memory`: bytes of address space it may take, None for any; `seconds`: one task may take.

    `grace`: seconds a cancelled task has to end by itself before its process is ended.
    """

    def __init__(self, memory: int | None, seconds: float, grace: float = GRACE) -> None:
        self.memory, self.seconds, self.grace = memory, seconds, grace
        self._numbers = itertools.count(1)
        self._lock, self._ending = threading.Lock(), threading.Lock()
        self._process: Any = None
        self._pipe: Connection

    def do(
        self,
        function: Callable[..., Any],
        *arguments: Any,
        on_progress: OnProgress = lambda *_: None,
        stop: threading.Event | None = None,
    ) -> Any:
        """`function(*arguments, on_progress)` in the child: a module's function, values that pickle.

        Raises Cancelled once `stop` is set; MedsrError or BusyError as the function did; InputError where the child
        died of it or took too long; BugError for anything else.
        """
        with self._lock:
            self.start()
            number = next(self._numbers)
            try:
                self._pipe.send(("do", number, function, arguments))
                kind, content = self._wait(number, on_progress, stop)
            except (EOFError, OSError) as error:
                self.end()
                raise InputError(
                    "the program that worked on this file ended unexpectedly; the file may be damaged"
                ) from error
            except BaseException:
                self.end()  # what it still says is nobody's
                raise
        if kind == "cancelled":
            raise Cancelled
        if kind == "busy":
            raise BusyError(content)
        if kind == "error":
            raise MedsrError(content)
        if kind == "bug":
            raise BugError
        return content

    def _wait(self, number: int, on_progress: OnProgress, stop: threading.Event | None) -> tuple[str, Any]:
        latest, cancelling = time.monotonic() + self.seconds, False
        while True:
            if self._pipe.poll(POLL):
                task, kind, content = self._pipe.recv()
                if task != number:
                    continue
                if kind != "progress":
                    return kind, content
                on_progress(*content)
            if stop is not None and stop.is_set() and not cancelling:
                self._pipe.send(("cancel", number))
                latest, cancelling = time.monotonic() + self.grace, True
            if time.monotonic() > latest:
                self.end()
                if cancelling:
                    return "cancelled", None
                return "error", f"not done after {_duration(self.seconds)}, the most this server gives"

    def start(self) -> None:
        """Have the child ready."""
        if self._process is not None and self._process.is_alive():
            return
        isolate_children()
        context = multiprocessing.get_context("spawn")
        self._pipe, other = context.Pipe()
        self._process = context.Process(target=child.main, args=(other, self.memory), daemon=True)
        self._process.start()
        other.close()

    def end(self) -> None:
        """End the child, whatever it does."""
        with self._ending:  # the server, going, and the thread whose child just died may both come by here
            if self._process is not None:
                self._process.kill()
                self._process.join()
                self._pipe.close()
                self._process = None


def _duration(seconds: float) -> str:
    return f"{seconds:g} seconds" if seconds < 120 else f"{seconds / 60:g} minutes"
