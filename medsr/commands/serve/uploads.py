"""A file on its way in: streamed to the disk, refused as soon as it is too large, then looked at."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

import anyio
from starlette.requests import ClientDisconnect

from medsr.commands.serve.inspect_upload import InspectedUpload, SeriesChoices, inspect_upload
from medsr.commands.serve.inspectors import Inspectors
from medsr.commands.serve.quota import BusyError, Quota, check_disk_space, remove
from medsr.commands.serve.settings import MB, Limits
from medsr.commands.serve.store import SessionEndedError, Store, Upload, User
from medsr.commands.serve.worker import BugError
from medsr.core.errors import InputError, MedsrError

MAX_NAME_LENGTH = 120
MAX_DISCARDED_BYTES = 64 * MB
DISK_CHECK_INTERVAL = 16 * MB
"""Bytes written between looks at the room on the disk."""


class TooLargeError(MedsrError):
    """More bytes than this server takes."""


class UploadStoppedError(MedsrError):
    """The sender left before the upload was through."""

    def __init__(self) -> None:
        super().__init__("the upload stopped half way")


@dataclass(frozen=True)
class IncomingUpload:
    """One upload as it arrives: what the user calls the file, and its bytes.

    `series`: which one of a zip's; `declared_size`: how many bytes are to come, if that is known; `sender`: whose turn
    it takes; `disconnected`: returns once the sender has left.
    """

    name: str
    body: AsyncIterator[bytes]
    sender: str
    disconnected: Callable[[], Awaitable[None]]
    series: int | None = None
    declared_size: int | None = None


class Receiver:
    """Takes uploads and has them inspected in processes of their own, which may take little memory and time."""

    def __init__(self, store: Store, inspectors: Inspectors, limits: Limits) -> None:
        self.store, self.inspectors, self.limits = store, inspectors, limits

    @asynccontextmanager
    async def refusing(self, body: AsyncIterator[bytes]) -> AsyncIterator[None]:
        """Read a little more of what is refused as too large: many senders do not listen before they have sent it."""
        try:
            yield
        except TooLargeError:
            size = 0
            with suppress(ClientDisconnect), anyio.move_on_after(1):
                async for block in body:
                    size += len(block)
                    if size > MAX_DISCARDED_BYTES:
                        break
            raise

    def check(self, declared_size: int | None) -> None:
        """Raise TooLargeError before anything is read, where the sender says how much is coming."""
        if declared_size is not None and declared_size > self.limits.upload:
            raise TooLargeError(
                f"{declared_size / MB:.0f} MB; this server takes files of at most {self.limits.upload / MB:g} MB"
            )

    async def take(self, user: User, incoming: IncomingUpload) -> Upload | SeriesChoices:
        """Raises TooLargeError, BusyError, SessionEndedError, InputError with the user's own name of the file."""
        with self.store.on_its_way(user):
            async with user.upload_lock:
                return await self._take(user, incoming)

    async def _take(self, user: User, incoming: IncomingUpload) -> Upload | SeriesChoices:
        folder, room = self.store.begin_upload(user, incoming.declared_size or 0)
        try:
            async with self.refusing(incoming.body):
                size = await self._save(folder / "upload", incoming.body, user.quota, room)
            if size == 0:
                raise InputError(f"{incoming.name}: the file is empty")
            inspected = await self._inspect(folder / "upload", incoming)
            if isinstance(inspected, SeriesChoices):
                remove(folder)
                return inspected
            user.quota.check()  # what the page shows of it counts, too
            upload = Upload(folder.name, incoming.name, inspected.path, size, inspected.facts, inspected.series)
            self.store.add_file(user, upload)
        except FileNotFoundError as error:  # its user has been forgotten
            raise SessionEndedError from error
        except OSError as error:
            remove(folder)
            raise BusyError("busy: the server's disk is full; try again later") from error
        except BaseException:
            remove(folder)
            raise
        return upload

    async def _save(self, path: Path, body: AsyncIterator[bytes], quota: Quota, room: int) -> int:
        """Write what arrives. `room`: bytes that are left of the quota."""
        size = checked = 0
        with path.open("wb") as stream:
            while True:
                try:
                    block = await anext(body)  # the connection is closed where too little arrives
                except StopAsyncIteration:
                    return size
                except ClientDisconnect as error:
                    raise UploadStoppedError from error
                size += len(block)
                self.check(size)
                quota.check_left(size, room)
                if (checked := checked + len(block)) > DISK_CHECK_INTERVAL:
                    checked = 0
                    check_disk_space(self.store.folder)
                stream.write(block)

    async def _inspect(self, path: Path, incoming: IncomingUpload) -> InspectedUpload | SeriesChoices:
        work = asyncio.ensure_future(
            self.inspectors.do(
                incoming.sender, inspect_upload, path, stem_of(incoming.name), incoming.series, self.limits
            )
        )
        disconnected = asyncio.ensure_future(incoming.disconnected())
        try:
            await asyncio.wait({work, disconnected}, return_when=asyncio.FIRST_COMPLETED)
            if not work.done():
                raise UploadStoppedError
            return await work
        except MedsrError as error:
            if not path.parent.is_dir():
                raise SessionEndedError from error
            if isinstance(error, BugError | BusyError | UploadStoppedError):
                raise
            reason = without_paths(str(error), self.store.folder, incoming.name)
            raise InputError(with_file_name(reason, incoming.name)) from error
        finally:
            work.cancel()
            disconnected.cancel()

    def close(self) -> None:
        """Stop inspecting."""
        self.inspectors.close()


def without_paths(text: str, folder: Path, name: str) -> str:
    """A text about a file below `folder`, under the user's name of it and without any place on this machine."""
    text = re.sub(rf"{re.escape(str(folder))}[\w/-]*(\.\w+)*", lambda _: name, text)
    return " ".join(re.sub(r"(?<![\w.])/(?:[\w.+-]+/)+[\w.+-]*", "...", text).split())


def with_file_name(text: str, name: str) -> str:
    """A text that says which file it is about."""
    return text if name in text else f"{name}: {text}"


def name_of(header: str | None) -> str:
    """The name a user gives a file: the last part of it, nothing that does not print."""
    name = unquote(header or "").replace("\\", "/").rpartition("/")[2]
    name = "".join(letter for letter in name if letter.isprintable()).strip()
    return name[-MAX_NAME_LENGTH:] or "file"


def stem_of(name: str) -> str:
    """What a file is called on the disk: letters that mean nothing to any system, its suffixes left out."""
    stem = re.sub(r"(\.(nii|img|hdr|gz|mgz|mgh|nrrd|mha|zip|dcm|png|jpe?g|tiff?|bmp|p[gp]m))+$", "", name, flags=re.I)
    return re.sub(r"[^A-Za-z0-9_-]+", "_", stem).strip("_-")[:80] or "file"
