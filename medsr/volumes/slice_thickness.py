"""How thick the slices of a scan are taken to be: one decision for every command."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from medsr.core.errors import UsageError
from medsr.io.volumes.base import Volume, slice_axis
from medsr.io.volumes.thickness import SAME, distance_of

Source = Literal["option", "header", "spacing"]
THINNEST, THICKEST = 0.3, 2.0
"""Thickness over distance: gaps of more than two thirds of the way are not scanned, and of slices that overlap by more
than half even an exact agreement leaves nothing to be made of the finest detail."""


@dataclass(frozen=True)
class SliceThickness:
    """`mm`: of one slice. `distance`: mm from slice to slice. `source`: who says so. `notes`: what contradicts that."""

    mm: float
    distance: float
    source: Source = "spacing"
    notes: tuple[str, ...] = ()

    @property
    def width(self) -> float:
        """The thickness in distances of slices."""
        return self.mm / self.distance

    @property
    def words(self) -> str:
        """What was taken; empty where a slice simply reaches to the next."""
        apart = self.distance - self.mm
        if self.source == "spacing" or abs(apart) < 1e-6 * self.distance:
            return ""
        source = "by the header" if self.source == "header" else "by `thickness`"
        between = f"gaps of {apart:.3g} mm" if apart > 0 else f"they overlap by {-apart:.3g} mm"
        return f"slices of {self.mm:.4g} mm every {self.distance:.4g} mm, {source}: {between}"

    def summary(self) -> dict[str, Any]:
        """For the sidecar."""
        return {"thickness_mm": self.mm, "distance_mm": self.distance, "source": self.source}


def slice_thickness(volume: Volume, option: float | None = None) -> SliceThickness:
    """How thick the scan's slices are: by the `option` (mm), else by its header where that can be, else its spacing.

    A header's thickness within 2 % of the distance is the distance: positions and spacings are written with few digits.
    Raises UsageError for an option of more than twice the distance of the slices.
    """
    distance = distance_of(volume.grid, slice_axis(volume))
    if option is not None:
        if option / distance > THICKEST:
            raise UsageError(f"`thickness={option:g}`: more than twice the distance of the slices")
        return SliceThickness(option, distance, "option")
    stated = volume.thickness
    if stated is None or abs(stated - distance) <= SAME * distance:
        return SliceThickness(distance, distance)
    if THINNEST <= stated / distance <= THICKEST * (1 + SAME):
        return SliceThickness(min(stated, THICKEST * distance), distance, "header")
    why = "more than twice" if stated > distance else "less than a third of"
    return SliceThickness(
        distance,
        distance,
        "spacing",
        (
            f"the header's slice thickness of {stated:.4g} mm is {why} the distance of the slices ({distance:.4g} mm): "
            "the spacing is taken",
        ),
    )
