"""What a cohort is: a command, its options, and every input with the place of its result; kept beside the results."""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from medsr.commands.cohort.options import complete
from medsr.core.errors import UsageError
from medsr.io.confined import check_path, lies_below
from medsr.io.files import read_text, write_text

if TYPE_CHECKING:
    from pydantic import TypeAdapter

_ID = re.compile(r"[0-9a-f]{12}")
FOLDER, CURRENT, LOCK = ".cohort", "current", "lock"
Command = Literal["volume", "upscale"]
KEYS = {"items": "units"}
"""Fields of a plan that have another name in `plan.json`."""


@dataclass(frozen=True)
class CohortItem:
    """One input and its result: absolute paths, so that any machine of a cluster finds them.

    `series`: the UID of the DICOM series, where others lie in the same folder.
    """

    source: str
    target: str
    series: str | None = None


@dataclass(frozen=True)
class CohortPlan:
    """`options`: of `medsr volume` or `medsr upscale`, by name. `bids`: the root of the BIDS dataset it came from.

    `clashes`: inputs that are not done, with the reason.

    `weights`: SHA-256 of the model's, None for interpolation. `id`: its own, so that nobody works for another plan.
    """

    command: Command
    out: Path
    options: dict[str, Any]
    items: tuple[CohortItem, ...]
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
        record = {KEYS.get(name, name): value for name, value in asdict(self).items()} | {"out": str(self.out)}
        write_text(self.hidden / "plan.json", json.dumps(record, indent=1) + "\n")
        write_text(self.out / FOLDER / CURRENT, self.id)


def load(out: Path, plan_id: str | None = None) -> CohortPlan:
    """The plan that counts in a folder of results, or the one of that id. Raises UsageError where there is none."""
    try:
        name = plan_id or read_text(out / FOLDER / CURRENT)
        if not _ID.fullmatch(name):
            raise ValueError(f"{name!r} is not the name of a plan")
        record = json.loads(read_text(out / FOLDER / name / "plan.json"))
        plan = _validated(record | {"out": out})
    except (FileNotFoundError, NotADirectoryError) as error:
        raise UsageError(f"{out}: no cohort was begun there{' (any more)' if plan_id else ''}") from error
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise UsageError(f"{out / FOLDER}: damaged; begin the cohort again") from error
    if plan.id != name or not lies_below(out, plan.hidden / "plan.json"):
        raise UsageError(f"{out / FOLDER}: its plan is not its own; begin the cohort again")
    if any(path.is_symlink() for pattern in ("*", "*/*") for path in plan.hidden.glob(pattern)):
        raise UsageError(f"{plan.hidden}: holds a link, which medsr never makes there; begin the cohort again")
    for item in plan.items:
        if not lies_below(out, Path(item.target)):
            raise UsageError(
                f"{out}: its plan has results outside of it ({item.target}); it was moved here, or not made by medsr; "
                "begin the cohort again"
            )
    return plan


def _validated(record: dict[str, Any]) -> CohortPlan:
    """A plan whose every part is of its type, as nobody knows who wrote it. Raises ValueError or TypeError."""
    names = {KEYS.get(field.name, field.name): field.name for field in fields(CohortPlan)}
    if unknown := record.keys() - names.keys():
        raise ValueError(f"unknown: {', '.join(sorted(unknown))}")
    plan = _adapter().validate_python({names[key]: value for key, value in record.items()})
    complete(plan.command, plan.options)
    sources = [source for source, _ in plan.clashes]
    for path in (plan.bids or "", *sources, *(name for item in plan.items for name in (item.source, item.target))):
        check_path(path)
    return plan


@lru_cache(1)
def _adapter() -> TypeAdapter[CohortPlan]:
    from pydantic import TypeAdapter

    return TypeAdapter(CohortPlan)


@contextmanager
def locked_folder(out: Path) -> Iterator[None]:
    """Hold a folder of results. Raises UsageError where another command is at work there, or its work is a link."""
    from filelock import FileLock, Timeout

    if (out / FOLDER).is_symlink():
        raise UsageError(f"{out / FOLDER}: a link, which medsr never makes there; remove it and begin the cohort again")
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
