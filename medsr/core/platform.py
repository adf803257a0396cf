"""What differs between Linux, macOS and Windows: no other module asks on which of them it runs.

Every function says what it does where a system has no such thing. Linux is where medsr is tested; the others are
written from their documentation and tried with their parts missing.
"""

from __future__ import annotations

import io
import os
import signal
import socket
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path, PurePath
from typing import Any, TextIO

WAITS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
"""Seconds between tries to rename a file that another program of Windows has open, such as a virus scanner."""
SHARING = (5, 32, 33)
"""How Windows says so: access denied, sharing violation, lock violation."""
LONGEST_PATH = 259
"""Characters of a whole path on a Windows that was not told to allow more."""
ROOM = 10
"""Letters that the temporary name of a file has more."""
DEVICES = {"con", "prn", "aux", "nul", *(f"{kind}{number}" for kind in ("com", "lpt") for number in range(10))}
"""Names that Windows keeps for itself, with any suffix."""
FORBIDDEN = '<>:"|?*'
DRIVERS = ("/dev/nvidiactl", "/dev/kfd", "/dev/dxg")
"""What Linux has where torch could find a GPU: NVIDIA, AMD, either through WSL."""


def is_windows() -> bool:
    return sys.platform == "win32"


def is_macos() -> bool:
    return sys.platform == "darwin"


def rename(source: Path, target: Path) -> None:
    """Give `source` the name `target`, in place of what has it.

    On Windows a file that a program has open keeps its name: this waits two seconds for such a program. Raises OSError.
    """
    for seconds in (*WAITS, None) if is_windows() else (None,):
        try:
            return os.replace(source, target)
        except OSError as error:
            if getattr(error, "winerror", None) not in SHARING:
                raise
            if seconds is None:
                why = "another program has it open, or it is read-only; close it there"
                raise OSError(error.errno, why, str(target)) from error
        time.sleep(seconds)
    return None


def sync(handle: int) -> None:
    """Have what was written to an open file on the disk. macOS's fsync leaves it in the disk's own cache."""
    if is_macos():
        with suppress(ImportError, AttributeError, OSError):  # a network disk may not know it
            import fcntl

            fcntl.fcntl(handle, fcntl.F_FULLFSYNC)  # type: ignore[attr-defined,unused-ignore]
            return
    os.fsync(handle)


def sync_folder(folder: Path) -> None:
    """Have the names in a folder on the disk, too. Windows and some file systems have no such thing."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def open_without_waiting(path: Path) -> int:
    """A handle for the bytes of a file; a pipe is not waited for. Windows has none among files. Raises OSError."""
    return os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))


def sees_holes() -> bool:
    """Whether the parts of a file that were never written can be told."""
    return hasattr(os, "SEEK_DATA")


def lock_folder(folder: Path, wait: bool) -> int | None:
    """A locked handle of the folder itself, which leaves no file behind; None where there is no such thing: Windows.

    Raises BlockingIOError where another process has it and this one is not to wait.
    """
    try:
        import fcntl

        handle = os.open(folder, os.O_RDONLY)
    except (ImportError, OSError):
        return None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        os.close(handle)
        raise
    except OSError:
        os.close(handle)
        return None
    except BaseException:
        os.close(handle)
        raise
    return handle


def is_mine(path: Path) -> bool:
    """Whether a file is of this account. On Windows, which keeps temporary files of accounts apart, it is."""
    return not hasattr(os, "getuid") or path.lstat().st_uid == os.getuid()


def way_from(folder: Path, path: str | Path) -> str | None:
    """The way from a folder to a file, with `/` on every system; None where it leads upwards or to another drive."""
    try:
        way = os.path.relpath(os.path.abspath(path), os.path.abspath(folder))
    except ValueError:  # another drive of Windows
        return None
    return None if way.startswith(os.pardir) or os.path.isabs(way) else PurePath(way).as_posix()


def fault_of_name(name: str) -> str:
    """Why this system cannot have a file or folder of that name, in words; empty where it can."""
    if not is_windows():
        return ""
    if any(letter in FORBIDDEN or ord(letter) < 32 for letter in name):
        return f"{name}: Windows has no files with one of {FORBIDDEN} in their name; choose another"
    if name.endswith((" ", ".")) or name.split(".")[0].rstrip().lower() in DEVICES:
        return f"{name}: Windows keeps such a name for itself; choose another"
    return ""


def fault_of_path(path: Path) -> str:
    """Why this system cannot have a file there, by its name or for the length of its path; empty where it can."""
    if fault := fault_of_name(path.name):
        return fault
    if is_windows() and len(os.path.abspath(path)) + ROOM > LONGEST_PATH and not _allows_long_paths():
        return f"{path}: Windows refuses paths of more than {LONGEST_PATH} characters; choose a shorter folder"
    return ""


def _allows_long_paths() -> bool:
    """Whether somebody told this Windows to allow paths of any length."""
    try:
        import winreg

        key = r"SYSTEM\CurrentControlSet\Control\FileSystem"
        with winreg.OpenKey(winreg.HKEY_LOCAL_MACHINE, key) as opened:  # type: ignore[attr-defined,unused-ignore]
            return bool(winreg.QueryValueEx(opened, "LongPathsEnabled")[0])  # type: ignore[attr-defined,unused-ignore]
    except (ImportError, OSError):
        return False


def limit_memory(total: int, for_good: bool = False) -> bool:
    """Bound the address space of this process to so many bytes; False where that cannot be done: Windows, macOS.

    `for_good`: the process itself cannot raise the bound again.
    """
    try:
        import resource

        _, hard = resource.getrlimit(resource.RLIMIT_AS)
        soft = total if hard == resource.RLIM_INFINITY else min(total, hard)
        resource.setrlimit(resource.RLIMIT_AS, (soft, soft if for_good else hard))
    except (ImportError, AttributeError, ValueError, OSError):
        return False
    return True


def peak_memory() -> int | None:
    """The most memory this process has held so far, in bytes; None where the system does not say."""
    try:
        import resource
    except ImportError:
        import psutil

        return getattr(psutil.Process().memory_info(), "peak_wset", None)
    with suppress(OSError, IndexError):  # Linux: what getrusage says counts the program that started this one, too
        return int(Path("/proc/self/status").read_text(errors="replace").split("VmHWM:")[1].split()[0]) * 1024
    return int(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if is_macos() else 1024))


def cores() -> list[int]:
    """The numbers of the cores this process may use; on macOS of all."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def use_cores(numbers: list[int]) -> bool:
    """Keep this process to these cores; False where that cannot be done: macOS, where the system shares them out."""
    try:
        if hasattr(os, "sched_setaffinity"):
            os.sched_setaffinity(0, numbers)
        else:
            import psutil

            psutil.Process().cpu_affinity(numbers)
    except (OSError, AttributeError):
        return False
    return True


def end_signals() -> dict[int, int]:
    """The signals that ask a program to end, besides Ctrl-C, and the exit code of each.

    On Windows nobody sends SIGTERM; Ctrl-Break and a closed window come as SIGBREAK.
    """
    names = [name for name in ("SIGTERM", "SIGBREAK") if hasattr(signal, name)]
    return {number: 128 + number for number in (int(getattr(signal, name)) for name in names)}


def on_hangup(handler: Callable[..., Any]) -> None:
    """Call `handler` when the terminal is closed, where that is told."""
    if hasattr(signal, "SIGHUP"):
        signal.signal(signal.SIGHUP, handler)


def after_fork(handler: Callable[[], None]) -> None:
    """Call `handler` in every process that is forked from this one, where processes can be."""
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=handler)


def listen_alone(bound: socket.socket) -> None:
    """Have the port of a server free for the next one as soon as it ended, and for nobody else meanwhile."""
    if hasattr(socket, "SO_EXCLUSIVEADDRUSE"):  # SO_REUSEADDR of Windows lets another program take the port
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
    elif not is_windows():
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)


def is_console(stream: TextIO | None) -> bool:
    """Whether a standard stream may be a console that is not a file, and is to be written to as Python does it."""
    return is_windows() and isinstance(stream, io.TextIOWrapper)


def may_have_gpu() -> bool:
    """Whether asking torch for a GPU is worth its two seconds."""
    return not sys.platform.startswith("linux") or any(os.path.exists(driver) for driver in DRIVERS)
