"""Progress: a bar with time left on a terminal, plain lines when piped."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, Protocol

from medsr.core.text import shown

PLAIN_EVERY = 10.0
"""Seconds between lines when the output is not a terminal."""


_bars: list[Any] = []
"""Those on the terminal: what is printed meanwhile must not stand in their line."""


class Update(Protocol):
    def __call__(self, done: float, text: str = "") -> None:
        """`done` of the total is finished; `text` is the latest state, for instance the losses."""
        ...


@contextmanager
def progress(title: str, total: float, done: float = 0) -> Iterator[Update]:
    """Show the progress of `total` steps on stderr, of which `done` were finished before this run."""
    display = _bar if sys.stderr is not None and sys.stderr.isatty() else _lines
    with display(title, total, done) as update:
        yield update


@contextmanager
def _bar(title: str, total: float, done: float) -> Iterator[Update]:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}", markup=False),  # names of recipes and files may hold brackets
        BarColumn(bar_width=None),
        TextColumn("{task.completed:.0f}/{task.total:.0f}"),
        TextColumn("{task.fields[text]}", markup=False),
        TimeElapsedColumn(),
        TextColumn("elapsed,"),
        TimeRemainingColumn(),
        TextColumn("left"),
    )
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, speed_estimate_period=60) as bars:
        task = bars.add_task(shown(title), total=total, completed=int(done), text="")

        def update(done: float, text: str = "") -> None:
            bars.update(task, completed=done, text=shown(text))

        _bars.append(bars)
        try:
            yield update
        finally:
            _bars.remove(bars)


def print_above(text: str, err: bool) -> bool:
    """Print lines above the bar, which stays below them. False, and nothing printed, where no bar is in the way.

    `err`: whether they are for standard error; else they are for standard output, which may lead elsewhere.
    """
    if not _bars or not (err or sys.stdout.isatty()):
        return False
    _bars[-1].console.print(text, markup=False, emoji=False, highlight=False, soft_wrap=True)
    return True


@contextmanager
def _lines(title: str, total: float, done: float) -> Iterator[Update]:
    began = last = time.monotonic()
    already = done
    finished = False

    def update(done: float, text: str = "") -> None:
        nonlocal last, finished
        now = time.monotonic()
        if finished or (now - last < PLAIN_EVERY and done < total):
            return
        last, finished = now, done >= total
        left = (now - began) / max(done - already, 1e-9) * (total - done)
        line = f"{shown(title)}: {done:.0f}/{total:.0f}  {shown(text)}  {clock(left)} left"
        if sys.stderr is not None:  # None in a program without a terminal
            with suppress(OSError):  # full, or read by nobody: the work goes on
                print(line, file=sys.stderr, flush=True)

    yield update


def clock(seconds: float) -> str:
    """Seconds as h:mm:ss."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}"
