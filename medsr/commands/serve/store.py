"""What every user has on the server: uploads and jobs, in a private folder, and gone in time."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from filelock import FileLock, Timeout

from medsr.commands.serve.jobs import FINAL_STATES, Queue, UserJob, new_id
from medsr.commands.serve.quota import BusyError, Quota, remove, stored_bytes
from medsr.commands.serve.responses import ImageFacts, VolumeFacts
from medsr.commands.serve.settings import Limits
from medsr.core import platform
from medsr.core.errors import MedsrError

PREFIX = "medsr-serve-"
CANCELLED_SECONDS = 60.0
"""Seconds a cancelled job is still known as such."""


class SessionEndedError(MedsrError):
    """A user has been forgotten while something of theirs was on its way."""

    def __init__(self) -> None:
        super().__init__("your session has ended meanwhile")


@dataclass(eq=False)
class Upload:
    """One file of a user's. `name`: what the user calls it; `path`: where it lies, in a folder of its own."""

    id: str
    name: str
    path: Path
    size: int
    facts: ImageFacts | VolumeFacts
    series: str | None
    used: float = field(default_factory=time.monotonic)


@dataclass(eq=False)
class User:
    """One browser session, or one script's. `id` is the secret its cookie carries."""

    id: str
    quota: Quota
    files: dict[str, Upload] = field(default_factory=dict)
    jobs: dict[str, UserJob] = field(default_factory=dict)
    seen: float = field(default_factory=time.monotonic)
    upload_lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    """One upload of a user's at a time is received and inspected."""
    uploading: int = 0
    """Uploads on their way, those that wait for their turn included."""

    @property
    def folder(self) -> Path:
        """Where everything of this user's lies."""
        return self.quota.folder


class Store:
    """All users. What is older than `limits.keep` is removed by `sweep`; everything by `close`."""

    def __init__(self, parent: Path | None, limits: Limits, queue: Queue) -> None:
        self.limits, self.queue = limits, queue
        self._lock = threading.RLock()
        self._users: dict[str, User] = {}
        root = Path(parent or tempfile.gettempdir())
        self._leftovers = _leftovers(root)
        self._remove_leftovers()
        self.folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=root))  # for this account alone (mode 700)
        self._mark = _mark(self.folder)

    def user(self, key: str | None) -> User | None:
        """The user of a cookie."""
        with self._lock:
            user = self._users.get(key or "")
            if user is not None:
                user.seen = time.monotonic()
            return user

    def new_user(self) -> User:
        """Somebody who was not here before."""
        with self._lock:
            user = User(secrets.token_urlsafe(32), Quota(self.folder / new_id(), self.limits.stored))
            user.folder.mkdir()
            self._users[user.id] = user
            return user

    @contextlib.contextmanager
    def on_its_way(self, user: User) -> Iterator[None]:
        """While an upload is received and inspected. Raises BusyError where its user sends too many at once."""
        if user.uploading >= self.limits.uploads:
            raise BusyError(f"busy: {user.uploading} of your uploads are on their way; wait for one")
        user.uploading += 1
        try:
            yield
        finally:
            user.uploading -= 1

    def begin_upload(self, user: User, size: int) -> tuple[Path, int]:
        """A new folder for an upload of about `size` bytes, and how many this user may still store.

        Raises BusyError where there is no room.
        """
        with self._lock:
            if len(user.files) >= self.limits.files:
                raise BusyError(f"{len(user.files)} of your files are kept here; forget one first")
            room = user.quota.max_bytes - stored_bytes(user.folder)
            user.quota.check(size)
            folder = user.folder / new_id()
            folder.mkdir()
            return folder, room

    def add_file(self, user: User, upload: Upload) -> None:
        """Keep an upload. Raises SessionEndedError where its user has been forgotten meanwhile."""
        with self._lock:
            if user.id not in self._users:
                raise SessionEndedError
            user.files[upload.id] = upload

    def add_job(self, user: User, job: UserJob) -> None:
        """Queue a job. Raises BusyError."""
        with self._lock:
            user.quota.check(1)
            self.queue.add(job)
            user.jobs[job.id] = job

    def forget_file(self, user: User, upload: Upload) -> None:
        """Remove an upload, and what was asked of it."""
        with self._lock:
            for job in [listed for listed in user.jobs.values() if listed.file == upload.id]:
                self.end_job(user, job)
            user.files.pop(upload.id, None)
        remove(upload.path.parent)

    def end_job(self, user: User, job: UserJob) -> None:
        """Cancel a job that waits or runs; forget one that has ended, with its results."""
        if job.state not in FINAL_STATES:
            self.queue.cancel(job)
            return
        with self._lock:
            user.jobs.pop(job.id, None)
        remove(job.task.folder)

    def forget_user(self, user: User) -> None:
        """Remove everything of a user's."""
        with self._lock:
            self._users.pop(user.id, None)
            for job in list(user.jobs.values()):
                self.queue.cancel(job)
        remove(user.folder)

    def sweep(self) -> None:
        """Remove what has been kept for long enough, users who have nothing left, and what killed servers left."""
        self._remove_leftovers()
        old = time.monotonic() - self.limits.keep
        with self._lock:
            users = list(self._users.values())
        for user in users:
            for job in list(user.jobs.values()):
                if job.state in FINAL_STATES and job.ended_at < (
                    old if job.state != "cancelled" else time.monotonic() - CANCELLED_SECONDS
                ):
                    self.end_job(user, job)
            busy = {job.file for job in list(user.jobs.values()) if job.state not in FINAL_STATES}
            for upload in list(user.files.values()):
                if upload.used < old and upload.id not in busy:
                    self.forget_file(user, upload)
            if not user.files and not user.jobs and user.seen < old:
                self.forget_user(user)
        with self._lock:  # a job that was just being written when its user went
            active = {user.folder for user in self._users.values()}
            for folder in self.folder.iterdir():
                if folder.is_dir() and folder not in active:
                    remove(folder)

    def close(self) -> None:
        """Remove everything."""
        self._mark.release()
        remove(self.folder)

    def _remove_leftovers(self) -> None:
        """Once more at every sweep: where files cannot be removed while a process has them open, or is writing."""
        for folder in self._leftovers:
            remove(folder)
        self._leftovers = [folder for folder in self._leftovers if folder.exists()]


def _mark(folder: Path) -> FileLock:
    """The sign of a living server; the system lets go of it when the process ends, however it does."""
    mark = FileLock(folder / "in-use")
    mark.acquire(timeout=0)
    return mark


def _leftovers(parent: Path) -> list[Path]:
    """What servers left that were killed. Other accounts' folders cannot be opened, and stay."""
    leftovers = []
    for folder in parent.glob(f"{PREFIX}*"):
        with contextlib.suppress(OSError, Timeout):
            if platform.is_mine(folder) and folder.is_dir() and not folder.is_symlink():
                _mark(folder).release()
                leftovers.append(folder)
    return leftovers
