"""Slices of a scan as a radiologist sees them: before (interpolated) and after, in all three planes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from medsr.core.geometry import PLANES, Plane
from medsr.core.intensity import Window
from medsr.core.types import Array
from medsr.io.volumes.dicom.display import shown_range
from medsr.io.volumes.units import unit_of
from medsr.io.volumes.volume import Volume
from medsr.volumes.acquisition import Acquisition
from medsr.volumes.orientation import Canonical

EDGES = {"sagittal": ("A", "P", "S", "I"), "coronal": ("R", "L", "S", "I"), "axial": ("R", "L", "A", "P")}
"""What lies at the left, right, upper and lower edge: as radiologists read.

The patient's right is on the left. Sagittal slices are seen from the patient's left, with the nose on the left.
Preview and report draw by this, and the page of `medsr serve` shows planes the same way round.
"""


@dataclass(frozen=True, eq=False)
class View:
    """One slice, rows downwards, from 0 (black) to 1 (white). `index`: on the fine grid.

    `aspect`: height of a pixel over its width.
    """

    plane: Plane
    index: int
    before: Array
    after: Array
    spread: Array | None
    difference: Array | None
    aspect: float


class Pictures:
    """Draws views of a scan's first volume and what became of it."""

    def __init__(
        self,
        volume: Volume,
        refined: Volume,
        spread: NDArray | None = None,
        difference: NDArray | None = None,
        labels: bool = False,
    ) -> None:
        turn = Canonical(volume)
        coarse = turn.view(volume.stored, 0)
        self.window = Window.of_values(coarse)
        self.coarse: NDArray = self.window.to_unit(coarse)
        self.shown = black_and_white(volume, self.window, self.coarse)
        self.range = (self.window.high - self.window.low) * abs(volume.slope)
        self.unit = unit_of(volume)
        self.fine = turn.view(refined.stored, 0)
        self.spread = None if spread is None else turn.view(spread, 0)
        self.difference = None if difference is None else turn.view(difference, 0)
        self.spacing = turn.steps(refined.grid.spacing)
        self.labels = labels

    def view(self, plane: Plane, index: int) -> View:
        """The slice `index` of the fine grid in that plane."""
        axis = PLANES.index(plane)
        first, second = (n for n in range(3) if n != axis)
        shape: tuple[int, int, int] = self.fine.shape
        seen: tuple[int, int, int] = tuple(map(min, self.coarse.shape, shape))  # type: ignore[assignment]
        if seen == self.coarse.shape and not self.labels:
            operators = Acquisition(seen, shape).plain()
            block = np.einsum("n,nab->ab", operators[axis][index], np.moveaxis(self.coarse, axis, 0))
            before = operators[first] @ block @ operators[second].T
        else:  # labels have no values between them; where an axis got fewer voxels the nearest is picture enough
            places = [np.arange(f) * c // f for c, f in zip(self.coarse.shape, shape, strict=True)]
            before = self.coarse.take(int(places[axis][index]), axis)[np.ix_(places[first], places[second])]
        before = self._contrasted(before)
        after = self._contrasted(self.window.to_unit(self.fine.take(index, axis)))
        spread = None if self.spread is None else shown(self.spread.take(index, axis))
        difference = None
        if self.difference is not None:
            places = [np.arange(f) * c // f for c, f in zip(self.difference.shape, shape, strict=True)]
            part = self.difference.take(int(places[axis][index]), axis)
            difference = shown(part[np.ix_(places[first], places[second])])
        aspect = self.spacing[second] / self.spacing[first]
        return View(plane, index, shown(before), shown(after), spread, difference, aspect)

    def _contrasted(self, unit: NDArray) -> NDArray:
        low, high = self.shown
        return (unit - low) / (high - low)

    def middle(self) -> tuple[int, int, int]:
        """The middle of the foreground on the fine grid."""
        return foreground_middle(self.coarse, self.fine.shape)

    def spaced(self, plane: Plane, count: int) -> Iterator[View]:
        """Up to `count` views spread over the middle four fifths of the plane's slices."""
        length = self.fine.shape[PLANES.index(plane)]
        indices = np.unique(np.linspace(length * 0.1, length * 0.9 - 1, min(count, length)).round().astype(int))
        return (self.view(plane, int(index)) for index in indices.clip(0, length - 1))


def foreground_middle(unit: NDArray, shape: tuple[int, ...]) -> tuple[int, int, int]:
    """The index of the foreground's middle on a grid of `shape` over the same box."""
    low = 0.1
    middle = []
    for axis in range(3):
        inside = (unit > low).any(axis=tuple(n for n in range(3) if n != axis))
        hit = np.flatnonzero(inside)
        centre = (hit[0] + hit[-1] + 1) / 2 if hit.size else inside.size / 2
        middle.append(min(int(centre * shape[axis] / inside.size), shape[axis] - 1))
    return middle[0], middle[1], middle[2]


def black_and_white(volume: Volume, window: Window, unit: NDArray) -> tuple[float, float]:
    """The values of `unit` shown black and white: those of the scan's own window, else what its middle asks for.

    `unit`: (i, j, k), the stored values through `window`. Where the slope is negative, the larger one is black.
    """
    if (ends := shown_range(volume)) is not None:
        stored = (np.array(ends) - volume.intercept) / volume.slope
        low, high = (float(value) for value in window.to_unit(stored))
        return low, high
    low, high = contrast(unit)
    return (high, low) if volume.slope < 0 else (low, high)


def contrast(unit: NDArray) -> tuple[float, float]:
    """The values shown black and white: percentiles of the middle of the scan, so that a skull does not hide it."""
    inner = unit[tuple(slice(n // 4, max(n // 4 + 1, 3 * n // 4)) for n in unit.shape)]
    low, high = (float(value) for value in np.percentile(inner, (0.5, 99.5)))
    low, high = (low, high) if high > low else (0.0, 1.0)
    return low, high + 0.08 * (high - low)


def shown(part: NDArray) -> Array:
    """(first, second) axis of a canonical volume to rows downwards: superior or anterior up, right or anterior left."""
    return np.ascontiguousarray(part.T[::-1, ::-1], np.float32)
