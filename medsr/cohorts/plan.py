"""What a cohort is: a command, its options, and every input with the place of its result; kept beside the results."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from medsr.errors import UsageError
from medsr.io.files import write_text

FOLDER = ".cohort"
Command = Literal["volume", "upscale"]


@dataclass(frozen=True)
class Unit:
    """One input and its result: absolute paths, so that any machine of a cluster finds them."""

    source: str
    target: str


@dataclass(frozen=True)
class Plan:
    """`options`: of `medsr volume` or `medsr upscale`, by name. `bids`: the root of the BIDS dataset it came from."""

    command: Command
    out: Path
    options: dict[str, Any]
    units: tuple[Unit, ...]
    bids: str | None = None
    skip_done: bool = False
    hidden: Path = field(init=False)
    """Where the work is kept: the plan, what each worker did, logs."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "hidden", self.out / FOLDER)

    def save(self) -> None:
        """Write `plan.json`."""
        told = asdict(self) | {"out": str(self.out)}
        del told["hidden"]
        write_text(self.hidden / "plan.json", json.dumps(told, indent=1) + "\n")


def load(out: Path) -> Plan:
    """The plan of a folder of results. Raises UsageError where there is none."""
    path = out / FOLDER / "plan.json"
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
        told["units"] = tuple(Unit(**unit) for unit in told["units"])
        return Plan(**(told | {"out": out}))
    except FileNotFoundError as error:
        raise UsageError(f"{out}: no cohort was begun there") from error
    except (ValueError, TypeError, KeyError) as error:
        raise UsageError(f"{path}: damaged; begin the cohort again") from error
