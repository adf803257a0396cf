"""A process in which medsr meets what it would meet on Windows, as far as that can be had elsewhere.

What only POSIX has is gone for medsr's modules, other modules and attributes alike. A file that this process has open
or mapped can neither be renamed nor replaced nor removed, by whomever, and medsr cannot open a folder.
"""

from __future__ import annotations

import builtins
import os
import signal
import types
from typing import Any

MODULES = {"fcntl", "grp", "pwd", "resource", "termios", "tty", "pty", "syslog", "readline"}
ATTRIBUTES: dict[str, tuple[str, ...]] = {
    "os": (
        *("fork", "forkpty", "register_at_fork", "getuid", "geteuid", "getgid", "getegid", "setsid", "killpg"),
        *("sched_getaffinity", "sched_setaffinity", "statvfs", "mkfifo", "sync", "getpgid", "WNOHANG", "nice"),
        *("O_NONBLOCK", "O_NOFOLLOW", "O_DIRECTORY", "O_CLOEXEC", "SEEK_DATA", "SEEK_HOLE"),
    ),
    "signal": ("SIGHUP", "SIGKILL", "SIGUSR1", "SIGUSR2", "SIGALRM", "SIGQUIT", "SIGCHLD", "alarm", "pthread_sigmask"),
}


class SharingError(PermissionError):
    winerror = 32


def is_open(path: str) -> bool:
    """Whether this process has the file, or one below the folder, open or mapped."""
    path = os.path.realpath(path)
    held = {line.split(maxsplit=5)[5].rstrip("\n") for line in _lines("/proc/self/maps") if line.count("/")}
    for number in os.listdir("/proc/self/fd"):
        try:
            held.add(os.readlink(f"/proc/self/fd/{number}"))
        except OSError:
            continue
    return any(name == path or name.startswith(path + os.sep) for name in held)


def _lines(path: str) -> list[str]:
    with open(path, encoding="utf-8", errors="replace") as stream:
        return stream.readlines()


def _refusing(function: Any, *places: int) -> Any:
    def wrapped(*arguments: Any, **named: Any) -> Any:
        for place in places:
            name = arguments[place]
            if isinstance(name, int) or named.get("src_dir_fd") or named.get("dir_fd"):
                continue
            if os.path.lexists(name) and not os.path.islink(name) and is_open(os.fspath(name)):
                raise SharingError(13, "used by another process", os.fspath(name))
        return function(*arguments, **named)

    return wrapped


class Without(types.ModuleType):
    """A module without what only POSIX has; what is set in it is set in the module."""

    def __init__(self, module: types.ModuleType) -> None:
        super().__init__(module.__name__)
        self.__dict__["_module"] = module

    def __getattr__(self, name: str) -> Any:
        module = self.__dict__["_module"]
        if name in ATTRIBUTES[module.__name__]:
            raise AttributeError(f"module {module.__name__!r} has no attribute {name!r}")
        return _open if (module, name) == (os, "open") else getattr(module, name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self.__dict__["_module"], name, value)


def _open(path: Any, flags: int, mode: int = 0o777) -> int:
    if os.path.isdir(path):
        raise PermissionError(13, "Permission denied", os.fspath(path))
    return os.open(path, flags, mode)


def begin() -> None:
    """From here on: before anything of medsr is imported."""
    without = {name: Without(module) for name, module in (("os", os), ("signal", signal))}
    real_import = builtins.__import__

    def importing(name: str, namespace: Any = None, *rest: Any, **named: Any) -> Any:
        if str((namespace or {}).get("__name__", "")).startswith("medsr"):
            if name.split(".")[0] in MODULES:
                raise ImportError(f"No module named {name!r}")
            if name in without:
                return without[name]
        return real_import(name, namespace, *rest, **named)

    builtins.__import__ = importing
    os.replace, os.rename = _refusing(os.replace, 0, 1), _refusing(os.rename, 0, 1)
    os.unlink = os.remove = _refusing(os.unlink, 0)
    from medsr.core import platform

    platform.is_windows = lambda: True
    platform.WAITS = ()  # nobody else has the files open
