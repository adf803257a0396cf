"""What a cohort is: a command, its options, and every input with the place of its result; kept beside the results."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from medsr.errors import UsageError
from medsr.io.files import write_text

FOLDER, CURRENT, LOCK = ".cohort", "current", "lock"
Command = Literal["volume", "upscale"]


@dataclass(frozen=True)
class Unit:
    """One input and its result: absolute paths, so that any machine of a cluster finds them.

    `series`: the UID of the DICOM series, where others lie in the same folder.
    """

    source: str
    target: str
    series: str | None = None


@dataclass(frozen=True)
class Plan:
    """`options`: of `medsr volume` or `medsr upscale`, by name. `bids`: the root of the BIDS dataset it came from.

    `clashes`: inputs that are not done, with the reason.

    `weights`: SHA-256 of the model's, None for interpolation. `id`: its own, so that nobody works for another plan.
    """

    command: Command
    out: Path
    options: dict[str, Any]
    units: tuple[Unit, ...]
    bids: str | None = None
    skip_done: bool = False
    weights: str | None = None
    clashes: tuple[tuple[str, str], ...] = ()
    id: str = field(default_factory=lambda: secrets.token_hex(6))

    @property
    def hidden(self) -> Path:
        """Where the work is kept: the plan, what each worker did, logs."""
        return self.out / FOLDER / self.id

    def save(self) -> None:
        """Write it, and say that it is the one that counts in this folder."""
        write_text(self.hidden / "plan.json", json.dumps(asdict(self) | {"out": str(self.out)}, indent=1) + "\n")
        write_text(self.out / FOLDER / CURRENT, self.id)


def load(out: Path, known: str | None = None) -> Plan:
    """The plan that counts in a folder of results, or the one of that id. Raises UsageError where there is none."""
    try:
        name = known or (out / FOLDER / CURRENT).read_text(encoding="utf-8")
        told = json.loads((out / FOLDER / name / "plan.json").read_text(encoding="utf-8"))
        told["units"] = tuple(Unit(**unit) for unit in told["units"])
        told["clashes"] = tuple((str(source), str(reason)) for source, reason in told.get("clashes", ()))
        return Plan(**(told | {"out": out}))
    except FileNotFoundError as error:
        raise UsageError(f"{out}: no cohort was begun there{' (any more)' if known else ''}") from error
    except (ValueError, TypeError, KeyError) as error:
        raise UsageError(f"{out / FOLDER}: damaged; begin the cohort again") from error


@contextmanager
def alone(out: Path) -> Iterator[None]:
    """Hold a folder of results. Raises UsageError where another command is at work there."""
    from filelock import FileLock, Timeout

    (out / FOLDER).mkdir(parents=True, exist_ok=True)
    lock = FileLock(out / FOLDER / LOCK, timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise UsageError(f"{out}: another cohort is at work there; see: medsr cohort status {out}") from None
    try:
        yield
    finally:
        lock.release()
