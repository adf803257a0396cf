"""A folder held for a moment, or for a whole run, against other processes that write to it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

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
    handle = _lock_folder(folder, wait)
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


def _lock_folder(folder: Path, wait: bool) -> int | None:
    """A locked handle of the folder itself, which leaves no file behind; None where the system has no such thing."""
    try:
        import fcntl

        handle = os.open(folder, os.O_RDONLY)
    except (ImportError, OSError):
        return None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        os.close(handle)
        raise HeldError(str(folder)) from None
    except OSError:
        os.close(handle)
        return None
    except BaseException:
        os.close(handle)
        raise
    return handle
