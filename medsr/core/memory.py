"""How much memory there is to take: of the machine, and of the container or batch job this process runs in."""

from __future__ import annotations

from medsr.core import control_groups

_processes = 1


def free() -> int:
    """Bytes that can still be taken: what the machine has left, or the job or container, whichever is less."""
    import psutil

    of_machine, of_group = psutil.virtual_memory().available, control_groups.memory_left()
    return int(of_machine if of_group is None else min(of_machine, of_group))


def share() -> float:
    """Of `free`, what one of the processes that work side by side may take for itself."""
    return free() / _processes


def work_beside(processes: int) -> None:
    """Say how many processes do this one's kind of work on this machine, itself included."""
    global _processes
    _processes = processes
