"""Ctrl-C and what asks a program to end (SIGTERM of Slurm's): finish the iteration, save, then stop."""

from __future__ import annotations

import signal
import threading
from types import FrameType
from typing import Any

from medsr.core import platform

CODES = {int(signal.SIGINT): 130, **platform.end_signals()}


class Interruption:
    """Within the block, the first signal is remembered in `received`; a second one stops at once."""

    def __init__(self) -> None:
        self.received: signal.Signals | None = None
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Interruption:
        if threading.current_thread() is threading.main_thread():  # Python allows handlers there only
            self._before = {number: signal.signal(number, self._note) for number in CODES}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, number: int, _: FrameType | None) -> None:
        if self.received is not None:
            raise SystemExit(CODES[number])
        self.received = signal.Signals(number)

    @property
    def exit_code(self) -> int:
        """Of a process that ended for the signal received."""
        return CODES[self.received] if self.received else 0
