"""What may be asked of several scans together, and what only of one."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from medsr.commands.volume.job import OutputOptions
from medsr.core.errors import UsageError
from medsr.volumes.request import Request
from medsr.volumes.stacks.request import JoinRequest


@dataclass(frozen=True)
class JoinOptions:
    """How scans are put together, as the user says it. `series`: of one DICOM folder, each as `choose_series` takes it.

    `together` False: every scan by itself; the others must then be as they are here.
    """

    together: bool = False
    extent: Any = "first"
    like: str | Path | None = None
    registration: bool = True
    matching: bool = True
    force: bool = False

    def request(self, request: Request, options: OutputOptions, skip_done: bool) -> JoinRequest | None:
        """How to join, None where every scan stays by itself.

        Raises UsageError for what goes with a single scan only, and without `together` for what goes with that.
        """
        if not self.together:
            for name, used in self._used().items():
                if used:
                    raise UsageError(f"`{name}` goes with `together`, which puts several scans into one")
            return None
        for name, why in _refused(request, options, skip_done).items():
            raise UsageError(f"`{name}` does not go with `together`: {why}")
        if self.like is not None and not str(self.like):
            raise UsageError("`like`: expected a file, got nothing")
        if self.like is not None and (request.spacing is not None or self.extent != "first"):
            raise UsageError("`like` is a grid already; leave `spacing` and `extent` out")
        like = None if self.like is None else Path(self.like)
        return JoinRequest(self.registration, self.matching, self.extent, like, self.force)

    def _used(self) -> dict[str, bool]:
        return {
            "extent": self.extent != "first",
            "like": self.like is not None,
            "registration=False": not self.registration,
            "matching=False": not self.matching,
            "force": self.force,
        }


def _refused(request: Request, options: OutputOptions, skip_done: bool) -> dict[str, str]:
    """The parameters in use that make sense for one scan only, each with the reason."""
    grid = "the result is as fine as the finest scan; `spacing` or `like` say otherwise"
    every = {
        "scale": (request.scale is not None, grid),
        "isotropic": (request.isotropic, grid),
        "spacing": (request.spacing is not None and len(request.spacing) != 1, "give one number, for every axis"),
        "planes": (request.method.planes is not None, "each scan has coarse axes of its own"),
        "fuse": (request.method.fuse != "mean", "one plane of each scan is refined"),
        "noise": (request.noise is not None, "each scan has noise of its own, which is measured"),
        "input_spacing": (request.input_spacing is not None, "each scan has a spacing of its own; correct the headers"),
        "kind=labels": (request.kind == "labels", "label maps cannot be averaged"),
        "adapt": (request.adapt is not None, "the scans learn from each other as it is"),
        "also": (bool(options.also), "bring other files onto the result's grid afterwards"),
        "dicom": (options.dicom, "the result is of no single series; it is written as a volume file"),
        "skip_done": (skip_done, "there is one result"),
    }
    return {name: why for name, (used, why) in every.items() if used}
