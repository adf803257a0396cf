"""Standard streams that may be closed, full, or read by nobody: the work goes on, and its end says so."""

from __future__ import annotations

import errno
import io
import os
import select
import sys
from typing import TYPE_CHECKING

from medsr.core import platform
from medsr.core.text import ESCAPED

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

NAMES = ("stdin", "stdout", "stderr")


class Lasting(io.FileIO):
    """A file that swallows what it cannot write. `lost`: the error of the first such text."""

    lost: OSError | None = None

    def write(self, content: ReadableBuffer, /) -> int:
        size = memoryview(content).nbytes
        if self.lost is not None:
            return size
        try:
            while (count := super().write(content)) is None:  # another process set it not to wait
                select.select([], [self], [])
        except OSError as error:
            self.lost = error
            return size
        return count


def open_streams() -> None:
    """Make the three standard streams fit for long work.

    Closed ones lead nowhere, so that no file of ours gets their number and their text. What cannot be written costs
    nobody a result. Names that are not UTF-8 are printed escaped.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the lowest number that is free: this one
    if sys.stdin is None:
        sys.stdin = open(os.devnull, encoding="utf-8")  # noqa: SIM115 (for as long as the process lives)
    for number, name in enumerate(NAMES[1:], 1):
        before = getattr(sys, name)
        if platform.is_console(before):
            before.reconfigure(errors=ESCAPED)
            continue
        encoding = before.encoding if before is not None else "utf-8"
        raw = Lasting(number, "w", closefd=False)
        by_line = number == 2 or raw.isatty()
        buffered = io.BufferedWriter(raw)
        setattr(sys, name, io.TextIOWrapper(buffered, encoding, ESCAPED, line_buffering=by_line))


def unwritten() -> str:
    """Why what was to be printed is not there, in words; empty where it is, or where the reader wanted no more."""
    try:
        sys.stdout.flush()
    except (OSError, ValueError):
        return ""
    raw = getattr(getattr(sys.stdout, "buffer", None), "raw", None)
    if not isinstance(raw, Lasting) or raw.lost is None or raw.lost.errno == errno.EPIPE:
        return ""
    return f"what was to be printed could not be written: {raw.lost.strerror or raw.lost}"
