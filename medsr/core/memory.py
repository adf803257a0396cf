"""How much memory there is to take: of the machine, and of the container or batch job this process runs in."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

GROUPS = Path("/sys/fs/cgroup")
"""Where Linux tells what containers and Slurm's jobs may take."""
OWN_GROUPS = Path("/proc/self/cgroup")
UNLIMITED = 1 << 60
"""A bound from here on is how Linux says that there is none."""
_processes = 1


def free() -> int:
    """Bytes that can still be taken: what the machine has left, or the job or container, whichever is less."""
    import psutil

    return int(min([psutil.virtual_memory().available, *_left_in_groups()]))


def share() -> float:
    """Of `free`, what one of the processes that work side by side may take for itself."""
    return free() / _processes


def work_beside(processes: int) -> None:
    """Say how many processes do this one's kind of work on this machine, itself included."""
    global _processes
    _processes = processes


def _left_in_groups() -> list[int]:
    """What each group of this process leaves it; a bound further up binds it as well. Caches count as free."""
    left: list[int] = []
    for folder, bound, used, cache in _groups():
        with suppress(OSError, ValueError):  # the root has no bound; others say `max`
            limit = int((folder / bound).read_text(encoding="ascii"))
            lines = dict(line.split() for line in (folder / "memory.stat").read_text(encoding="ascii").splitlines())
            if limit < UNLIMITED:
                left.append(max(0, limit - int((folder / used).read_text(encoding="ascii")) + int(lines.get(cache, 0))))
    return left


def _groups() -> list[tuple[Path, str, str, str]]:
    """Folder, and the names of its bound, its use and its cache, from this process's group up to the root."""
    with suppress(OSError, ValueError):
        lines = [
            line.split(":", 2) for line in OWN_GROUPS.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
        ]
        groups = []
        for _, controllers, group in lines:
            if not controllers:  # version 2
                root, names = GROUPS, ("memory.max", "memory.current", "inactive_file")
            elif "memory" in controllers.split(","):
                names = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
                root = GROUPS / "memory"
            else:
                continue
            inner = root / group.strip("/")
            folders = [inner, *(folder for folder in inner.parents if folder.is_relative_to(root))]
            groups += [(folder, *names) for folder in folders]
        return groups
    return []
