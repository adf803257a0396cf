"""How much of the server's disk one user's files and results may take."""

from __future__ import annotations

import contextlib
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from medsr.commands.serve.settings import MB
from medsr.core.errors import MedsrError

RESERVED_DISK_BYTES = 1_000_000_000
"""Bytes of the disk that are left free."""


class BusyError(MedsrError):
    """Too much is waiting, or kept, already."""


@dataclass(frozen=True)
class Quota:
    """One user's part: at most `max_bytes` bytes below `folder`, which need not be there yet."""

    folder: Path
    max_bytes: int

    def check(self, size: int = 0) -> None:
        """Raise BusyError where there is no room for `size` bytes more: in the quota, or on the disk."""
        self.check_left(size, self.max_bytes - stored_bytes(self.folder))
        check_disk_space(self.folder, size)

    def check_left(self, size: int, left: int) -> None:
        """Raise BusyError where `size` bytes are more than the `left` ones."""
        if size > left:
            raise BusyError(
                f"your files and results would take more than {self.max_bytes / MB:g} MB here; forget some first"
            )


def check_disk_space(folder: Path, size: int = 0) -> None:
    """Raise BusyError where the disk has no room for that many bytes more."""
    with contextlib.suppress(FileNotFoundError):  # its user has been forgotten meanwhile
        if shutil.disk_usage(folder).free < size + RESERVED_DISK_BYTES:
            raise BusyError("busy: the server's disk is full; try again later")


def stored_bytes(folder: Path) -> int:
    """Bytes of all files below a folder, of which some may just be going."""
    size = 0
    for directory, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(OSError):
                size += os.lstat(os.path.join(directory, name)).st_size
    return size


def remove(folder: Path) -> None:
    """A folder and what is in it; a child may just be writing there, so what comes later is swept later."""
    shutil.rmtree(folder, ignore_errors=True)
