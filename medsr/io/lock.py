"""A folder held for a moment, or for a whole run, against other processes that write to it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from medsr.core import platform

NAME = ".medsr.lock"
"""Where the system cannot lock a folder: the file that stands for it."""


class HeldError(Exception):
    """Another process holds the folder."""


@contextmanager
def held(folder: Path, wait: bool = True) -> Iterator[None]:
    """Hold `folder`, which is there, until the block ends; a process that dies lets go of it.

    Without `wait`, raises HeldError where somebody else holds it. Not to be nested. Where nothing can be locked (a
    read-only or a simple network disk) the block runs all the same.
    """
    try:
        handle = platform.lock_folder(folder, wait)
    except BlockingIOError:
        raise HeldError(str(folder)) from None
    if handle is not None:
        try:
            yield
        finally:
            os.close(handle)
        return
    from filelock import FileLock, Timeout

    lock = FileLock(folder / NAME, timeout=-1 if wait else 0)
    try:
        lock.acquire()
    except Timeout:
        raise HeldError(str(folder)) from None
    except (OSError, NotImplementedError):
        yield
        return
    try:
        yield
    finally:
        lock.release()
