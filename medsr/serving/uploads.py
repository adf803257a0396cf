"""A file on its way in: streamed to the disk, refused as soon as it is too large, then looked at."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import anyio
from starlette.requests import ClientDisconnect

from medsr.errors import InputError, MedsrError
from medsr.serving.helper import BugError, Helper
from medsr.serving.jobs import BusyError
from medsr.serving.looking import Choices, Look, look
from medsr.serving.settings import MB, Limits
from medsr.serving.store import GoneError, Store, Upload, User, remove

SILENCE = 60.0
"""Seconds an upload may send nothing."""
LONGEST_NAME = 120
DISCARDED = 64 * MB
LOOK_EVERY = 16 * MB
"""Bytes written between looks at the room on the disk."""


class TooLargeError(MedsrError):
    """More bytes than this server takes."""


class Receiver:
    """Takes uploads; one after the other is looked at, in a child of its own that may take little memory."""

    def __init__(self, store: Store, reader: Helper, limits: Limits) -> None:
        self.store, self.reader, self.limits = store, reader, limits
        self._turns = ThreadPoolExecutor(1)

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
                    if size > DISCARDED:
                        break
            raise

    def check(self, declared: int | None) -> None:
        """Raise TooLargeError before anything is read, where the sender says how much is coming."""
        if declared is not None and declared > self.limits.upload:
            raise TooLargeError(
                f"{declared / MB:.0f} MB; this server takes files of at most {self.limits.upload / MB:g} MB"
            )

    async def take(
        self, user: User, name: str, series: int | None, body: AsyncIterator[bytes], declared: int | None
    ) -> Upload | Choices:
        """Raises TooLargeError, BusyError, GoneError, InputError with the user's own name of the file."""
        async with user.sending:
            return await self._take(user, name, series, body, declared)

    async def _take(
        self, user: User, name: str, series: int | None, body: AsyncIterator[bytes], declared: int | None
    ) -> Upload | Choices:
        folder = self.store.begin_upload(user, declared or 0)
        try:
            async with self.refusing(body):
                size = await self._save(folder / "upload", body)
            if size == 0:
                raise InputError(f"{name}: the file is empty")
            found = await self._look(folder / "upload", name, series)
            if isinstance(found, Choices):
                remove(folder)
                return found
            upload = Upload(folder.name, name, found.path, size, found.facts, found.series)
            self.store.add_file(user, upload)
        except FileNotFoundError as error:  # its user has been forgotten
            raise GoneError from error
        except OSError as error:
            remove(folder)
            raise BusyError("busy: the server's disk is full; try again later") from error
        except BaseException:
            remove(folder)
            raise
        return upload

    async def _save(self, path: Path, body: AsyncIterator[bytes]) -> int:
        size = checked = 0
        with path.open("wb") as stream:
            while True:
                try:
                    with anyio.fail_after(SILENCE):
                        block = await anext(body)
                except StopAsyncIteration:
                    return size
                except (TimeoutError, ClientDisconnect) as error:
                    raise InputError("the upload stopped half way") from error
                size += len(block)
                self.check(size)
                if (checked := checked + len(block)) > LOOK_EVERY:
                    checked = 0
                    self.store.check_room()
                stream.write(block)

    async def _look(self, path: Path, name: str, series: int | None) -> Look | Choices:
        def ask() -> Any:
            return self.reader.do(look, path, stem_of(name), series, self.limits)

        try:
            return await asyncio.get_running_loop().run_in_executor(self._turns, ask)
        except MedsrError as error:
            if not path.parent.is_dir():
                raise GoneError from error
            if isinstance(error, BugError):
                raise
            raise InputError(named(plain(str(error), self.store.folder, name), name)) from error

    def close(self) -> None:
        """Stop looking."""
        self.reader.end()
        self._turns.shutdown(wait=False, cancel_futures=True)


def plain(text: str, folder: Path, name: str) -> str:
    """A text about a file below `folder`, under the user's name of it and without any place on this machine."""
    text = re.sub(rf"{re.escape(str(folder))}[\w/-]*(\.\w+)*", lambda _: name, text)
    return " ".join(re.sub(r"(?<![\w.])/(?:[\w.+-]+/)+[\w.+-]*", "...", text).split())


def named(text: str, name: str) -> str:
    """A text that says which file it is about."""
    return text if name in text else f"{name}: {text}"


def name_of(header: str | None) -> str:
    """The name a user gives a file: the last part of it, nothing that does not print."""
    name = unquote(header or "").replace("\\", "/").rpartition("/")[2]
    name = "".join(letter for letter in name if letter.isprintable()).strip()
    return name[-LONGEST_NAME:] or "file"


def stem_of(name: str) -> str:
    """What a file is called on the disk: letters that mean nothing to any system, its suffixes left out."""
    stem = re.sub(r"(\.(nii|img|hdr|gz|mgz|mgh|nrrd|mha|zip|dcm|png|jpe?g|tiff?|bmp|p[gp]m))+$", "", name, flags=re.I)
    return re.sub(r"[^A-Za-z0-9_-]+", "_", stem).strip("_-")[:80] or "file"
