"""How several scans are put together, as one value."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from medsr.core.errors import UsageError
from medsr.core.suggest import did_you_mean

Extent = Literal["first", "union", "intersection"]


@dataclass(frozen=True)
class JoinRequest:
    """`registration`: whether motion between the scans is looked for; else their headers say where they are.

    `match_intensities`: whether gains are made equal. `extent`: the box of the result. `like`: a file whose grid the
    result gets. `force`: do it although a check says that the scans do not belong together.
    """

    registration: bool = True
    match_intensities: bool = True
    extent: Extent = "first"
    like: Path | None = None
    force: bool = False

    def __post_init__(self) -> None:
        """Raises UsageError."""
        if self.extent not in get_args(Extent):
            hint = did_you_mean(self.extent, get_args(Extent))
            raise UsageError(f"`extent={self.extent}`: expected one of {', '.join(get_args(Extent))}{hint}")
        if self.like is not None and self.extent != "first":
            raise UsageError("`like`: its file says which box; leave `extent` out")
