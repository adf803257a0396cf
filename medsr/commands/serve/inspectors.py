"""Uploads are inspected in several child processes, so that one that takes long delays its sender alone."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from medsr.commands.serve.child import Cancelled
from medsr.commands.serve.quota import BusyError
from medsr.commands.serve.turns import Turns
from medsr.commands.serve.worker import Worker

PROCESSES = 4
QUICK_PER_SENDER, SLOW_PER_SENDER = 2, 1
"""Processes one sender may have at once: for first tries, for further ones."""
MAX_SLOW = 2
PATIENCE = 3.0
"""Seconds somebody waits before others must make way, and a first try has before it must."""
MAX_TRIES, PATIENCE_GROWTH = 3, 4
"""A file that made way is tried again; each time it may take so many times longer before it must."""


@dataclass(eq=False)
class _Inspection:
    """One try to read one file. `ready`: there is a process for it."""

    sender: str
    tries: int
    turn: float
    ready: asyncio.Future[Worker]
    since: float = field(default_factory=time.monotonic)
    stop: threading.Event = field(default_factory=threading.Event)

    @property
    def slow(self) -> bool:
        return self.tries > 0

    @property
    def seconds(self) -> float:
        """How long it waits, or runs."""
        return time.monotonic() - self.since


class Inspectors:
    """Child processes with bounded memory and time that senders use in turn; used in one event loop.

    What takes longer than a few seconds while others wait makes way: its process is ended, and it is tried again in a
    lane of its own. So everybody gets a process soon, whatever others have sent. `memory`: bytes of address space of
    one process; `seconds`: the longest try.
    """

    def __init__(self, memory: int | None, seconds: float, patience: float = PATIENCE) -> None:
        self.patience = patience
        self._free = [Worker(memory, seconds, grace=0) for _ in range(PROCESSES)]
        self._all = tuple(self._free)
        self._threads = ThreadPoolExecutor(PROCESSES)
        self._turns = Turns()
        self._waiting: list[_Inspection] = []
        self._running: list[_Inspection] = []
        self._timer: asyncio.TimerHandle | None = None

    async def do(self, sender: str, function: Callable[..., Any], *arguments: Any) -> Any:
        """`function(*arguments, on_progress)` in a child, at this sender's turn. It may be called several times.

        Raises what `Worker.do` does; BusyError where it had to make way too often. A caller that is cancelled ends it.
        """
        for tries in range(MAX_TRIES):
            try:
                return await self._try(sender, tries, function, arguments)
            except Cancelled:
                continue
        raise BusyError("busy: this file takes long to read, and others are waiting; send it again later")

    async def _try(self, sender: str, tries: int, function: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
        loop = asyncio.get_running_loop()
        inspection = _Inspection(sender, tries, self._turns.take(sender), loop.create_future())
        self._waiting.append(inspection)
        self._start()
        try:
            worker = await inspection.ready
        except asyncio.CancelledError:
            self._leave(inspection)
            raise
        work = partial(worker.do, function, *arguments, stop=inspection.stop)
        running = loop.run_in_executor(self._threads, work)
        running.add_done_callback(partial(self._finished, inspection, worker))
        try:
            return await asyncio.shield(running)
        except asyncio.CancelledError:
            inspection.stop.set()
            raise

    def _leave(self, inspection: _Inspection) -> None:
        """Its sender went while it waited."""
        if inspection in self._waiting:
            self._waiting.remove(inspection)
        elif inspection.ready.done() and not inspection.ready.cancelled():
            self._release(inspection, inspection.ready.result())

    def _finished(self, inspection: _Inspection, worker: Worker, running: asyncio.Future[Any]) -> None:
        if not running.cancelled():
            running.exception()  # looked at: whoever asked may have gone
        self._release(inspection, worker)

    def _release(self, inspection: _Inspection, worker: Worker) -> None:
        self._running.remove(inspection)
        self._free.append(worker)
        self._free.sort(key=self._all.index)  # few senders use few processes
        self._start()

    def _start(self) -> None:
        """Give free processes to those whose turn it is."""
        for inspection in sorted(self._waiting, key=lambda waiting: (waiting.tries, waiting.turn)):
            if self._free and self._blockers(inspection) is None:
                self._waiting.remove(inspection)
                self._running.append(inspection)
                self._turns.reach(inspection.turn)
                inspection.since = time.monotonic()
                inspection.ready.set_result(self._free.pop(0))
        if self._waiting and self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self.patience / 4, self._preempt)

    def _blockers(self, inspection: _Inspection) -> list[_Inspection] | None:
        """Those of which one must end before this may begin; None where there is room."""
        lane = [running for running in self._running if running.slow == inspection.slow]
        own = [running for running in lane if running.sender == inspection.sender]
        if len(own) >= (SLOW_PER_SENDER if inspection.slow else QUICK_PER_SENDER):
            return own
        if inspection.slow and len(lane) >= MAX_SLOW:
            return lane
        return None if self._free else self._running

    def _preempt(self) -> None:
        """End what has had its time, where somebody waits for it."""
        self._timer = None
        for inspection in list(self._waiting):
            if inspection.seconds < self.patience:
                continue
            blockers = self._blockers(inspection) or []
            if not any(blocker.stop.is_set() for blocker in blockers):
                late = [
                    blocker for blocker in blockers if blocker.seconds > self.patience * PATIENCE_GROWTH**blocker.tries
                ]
                if late:
                    max(late, key=lambda blocker: blocker.seconds).stop.set()
        self._start()

    def close(self) -> None:
        """End the processes."""
        for worker in self._all:
            worker.end()
        self._threads.shutdown(wait=False, cancel_futures=True)
