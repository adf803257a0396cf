"""What Linux's control groups leave this process: how containers and batch jobs bound memory and the time of cores."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from medsr.core import platform

ROOT = Path("/sys/fs/cgroup")
OWN = Path("/proc/self/cgroup")
"""Which groups this process is in: one line for version 2, one for each controller of version 1."""
UNLIMITED = 1 << 60
"""A bound from here on is how Linux says that there is none."""


@dataclass(frozen=True)
class _MemoryFiles:
    bound: str
    used: str
    caches: tuple[str, str]


_MEMORY = {
    1: _MemoryFiles("memory.limit_in_bytes", "memory.usage_in_bytes", ("total_active_file", "total_inactive_file")),
    2: _MemoryFiles("memory.max", "memory.current", ("active_file", "inactive_file")),
}


def memory_left() -> int | None:
    """Bytes until the tightest bound; None where there is none. Cached files count as free: Linux gives them back."""
    left = []
    for version, folder in _groups("memory"):
        files = _MEMORY[version]
        with suppress(OSError, ValueError):  # the root has no bound; others say `max`
            bound = int(_text(folder / files.bound))
            statistics = dict(line.split() for line in _text(folder / "memory.stat").splitlines())
            cached = sum(int(statistics.get(name, 0)) for name in files.caches)
            if bound < UNLIMITED:
                left.append(max(0, bound - int(_text(folder / files.used)) + cached))
    return min(left, default=None)


def cpus() -> float | None:
    """How many cores' time the tightest bound allows, such as 1.5; None where there is none."""
    bounds = []
    for version, folder in _groups("cpu"):
        with suppress(OSError, ValueError):  # the root has no bound; others say `max`
            if version == 2:
                quota, period = map(int, _text(folder / "cpu.max").split())
            else:
                quota, period = (int(_text(folder / f"cpu.cfs_{name}_us")) for name in ("quota", "period"))
            if quota > 0 and period > 0:  # version 1 says -1 for no bound
                bounds.append(quota / period)
    return min(bounds, default=None)


def cores() -> int:
    """How many cores this process can keep busy: those it may run on, and no more than the bound pays for."""
    bound = cpus()
    return len(platform.cores()) if bound is None else max(1, min(len(platform.cores()), int(bound)))


def _groups(controller: str) -> Iterator[tuple[int, Path]]:
    """Version and folder of this process's groups and of all above them: a bound further up binds it as well."""
    with suppress(OSError, ValueError):
        for line in OWN.read_text(encoding="utf-8", errors="surrogateescape").splitlines():
            _, controllers, group = line.split(":", 2)
            if controllers and controller not in controllers.split(","):
                continue
            root = ROOT / controller if controllers else ROOT
            inner = root / group.strip("/")
            for folder in (inner, *inner.parents):
                if folder.is_relative_to(root):
                    yield (1 if controllers else 2), folder


def _text(path: Path) -> str:
    return path.read_text(encoding="ascii")
