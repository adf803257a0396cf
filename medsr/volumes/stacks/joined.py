"""What becomes of several scans that are put together."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medsr.core.geometry import Plane
from medsr.core.types import Array
from medsr.io.volumes.base import Volume

NamedVolume = tuple[str, Volume]


@dataclass(frozen=True, eq=False)
class JoinedStack:
    """One scan: where it was found, and what it had to do with the result.

    `thickness_mm`, `distance_mm`: of a slice, and from slice to slice. `motion`: (4, 4) mm, RAS, from a point of
    the first scan's space to where this one shows it. `shift_mm`: of the middle of the first scan's box.
    `similarity_before` and `_after`: correlation with the first scan as the headers say and as registered; None for
    the first, and where nothing was registered. `gain`, `offset`: this scan's values are about the first's times
    `gain` plus `offset`. `residual_before` and `_after`: RMS of what acquiring again leaves unexplained, of the
    weighted mean of all refined scans and of the result; these and `noise` in percent of the range of intensities.
    `share`: what it contributed, all shares add up to 1. `placed`: on the result's grid, in the first scan's stored
    values, by cubic B-spline.
    """

    name: str
    motion: NDArray[np.float64]
    shift_mm: float
    rotation_degrees: float
    similarity_before: float | None
    similarity_after: float | None
    gain: float
    offset: float
    thickness_mm: float
    distance_mm: float
    spacing_mm: tuple[float, float, float]
    plane: Plane
    residual_before: float
    residual_after: float
    noise: float
    share: float
    placed: Array

    def summary(self) -> dict[str, Any]:
        """All of it but the voxels, for the sidecar."""
        figures = {key: value for key, value in vars(self).items() if key not in ("motion", "placed")}
        rounded = {key: round(value, 6) if isinstance(value, float) else value for key, value in figures.items()}
        rounded["spacing_mm"] = [round(step, 6) for step in self.spacing_mm]
        return rounded | {"motion": [[round(float(value), 7) for value in row] for row in self.motion]}


@dataclass
class JoinedScan:
    """`volume`: on the common grid, with the data type and scaling of the first scan.

    `coverage`: uint8, how many scans cover a voxel. `uncertainty`: float32, the spread of the refined scans where two
    or more cover it, in the first's units; both None where they were not asked for. `summary`: the sidecar's content.
    """

    volume: Volume
    coverage: Volume | None
    uncertainty: Volume | None
    stacks: list[JoinedStack]
    summary: dict[str, Any]
    warnings: list[str] = field(default_factory=list)
