"""The queue: one job computes at a time, and users take turns."""

from __future__ import annotations

import logging
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

from medsr.commands.serve.child import Cancelled
from medsr.commands.serve.quota import BusyError
from medsr.commands.serve.responses import State
from medsr.commands.serve.turns import Turns
from medsr.commands.serve.worker import BugError, Worker
from medsr.core.errors import MedsrError
from medsr.core.text import names_only, shown

LOG = logging.getLogger("uvicorn.error")
FINAL_STATES = ("done", "failed", "cancelled")


def new_id() -> str:
    """For an address or a folder that nobody guesses."""
    return secrets.token_hex(12)


@dataclass(eq=False)
class UserJob:
    """What one user asked for, of which of their files, by which models.

    `function` and `task`: done by the computing child; `result`: what it returned. `name`: the user's own of the file;
    `without_paths`: takes the server's paths out of a text; `discard`: removes what it left where it did not end well.
    """

    user: str
    file: str
    kind: Literal["image", "volume"]
    models: tuple[str, ...]
    function: Callable[..., Any]
    task: Any
    name: str = ""
    without_paths: Callable[[str], str] = str
    discard: Callable[[], None] = lambda: None
    id: str = field(default_factory=new_id)
    state: State = "waiting"
    progress: float = 0.0
    doing: str = ""
    error: str | None = None
    result: Any = None
    started_at: float = 0.0
    ended_at: float = 0.0
    turn: float = 0.0
    stop: threading.Event = field(default_factory=threading.Event)

    @property
    def seconds_left(self) -> float | None:
        """An estimate from how far it is; None while that says nothing."""
        if self.state != "running" or self.progress < 0.02:
            return None
        return (time.monotonic() - self.started_at) * (1 - self.progress) / self.progress


class Queue:
    """Jobs of all users, who take turns, and one thread that does them."""

    def __init__(self, worker: Worker, per_user: int, waiting: int) -> None:
        self.worker, self.per_user, self.max_waiting = worker, per_user, waiting
        self._changed = threading.Condition()
        self._waiting: list[UserJob] = []
        self._running: UserJob | None = None
        self._turns = Turns()
        self._open = True
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    def add(self, job: UserJob) -> None:
        """Let a job wait for its turn. Raises BusyError where this user, or all together, have too many."""
        with self._changed:
            own = [queued for queued in self._all() if queued.user == job.user]
            if len(own) >= self.per_user:
                raise BusyError(f"busy: {len(own)} of your jobs are waiting or running; wait for one, or cancel one")
            if len(self._waiting) >= self.max_waiting:
                raise BusyError(
                    f"busy: {len(self._waiting)} jobs are waiting; your place would be {self.max_waiting + 1}"
                )
            job.turn = self._turns.take(job.user)
            self._waiting.append(job)
            self._changed.notify_all()

    def position(self, job: UserJob) -> int | None:
        """1 for the job that comes next, None where it waits no more."""
        with self._changed:
            waiting = sorted(self._waiting, key=lambda queued: queued.turn)
            return waiting.index(job) + 1 if job in waiting else None

    def cancel(self, job: UserJob) -> None:
        """End a job, or take it out of the queue. What has ended already stays as it is."""
        with self._changed:
            job.stop.set()
            if job in self._waiting:
                self._waiting.remove(job)
                self._finish(job, "cancelled")

    def close(self) -> None:
        """End all of them, and the child."""
        with self._changed:
            self._open = False
            for job in self._all():
                job.stop.set()
            self._waiting.clear()
            self._changed.notify_all()
        self.worker.end()
        self._thread.join(10)

    def _all(self) -> list[UserJob]:
        return [*self._waiting, *([self._running] if self._running else [])]

    def _next(self) -> UserJob:
        return min(self._waiting, key=lambda queued: queued.turn)

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or not self._open)
                if not self._open:
                    return
                job = self._next()
                self._waiting.remove(job)
                self._running = job
                self._turns.reach(job.turn)
                job.state, job.started_at = "running", time.monotonic()
            self._do(job)
            with self._changed:
                self._running = None

    def _do(self, job: UserJob) -> None:
        def on_progress(done: float, total: float, text: str) -> None:
            job.progress, job.doing = (min(1.0, done / total) if total > 0 else 0.0), text

        try:
            job.result = self.worker.do(job.function, job.task, on_progress=on_progress, stop=job.stop)
        except Cancelled:
            self._finish(job, "cancelled")
        except MedsrError as error:
            job.error = names_only(shown(error))
            self._finish(job, "failed")
        except Exception as error:  # the queue must go on
            LOG.error("a job failed", exc_info=error)
            job.error = str(BugError())
            self._finish(job, "failed")
        else:
            job.progress = 1.0
            self._finish(job, "done")

    @staticmethod
    def _finish(job: UserJob, state: State) -> None:
        if state != "done":
            job.discard()
        job.ended_at = time.monotonic()
        job.state = state  # last: whoever sees that it has ended sees when
