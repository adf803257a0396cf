"""Slices of all scans, placed on the common grid, and of the result."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from medsr.commands.volume.pictures import black_and_white, foreground_middle, shown
from medsr.core.geometry import PLANES, Plane
from medsr.core.intensity import Window
from medsr.core.types import Array
from medsr.io.volumes.base import Volume
from medsr.io.volumes.units import unit_of
from medsr.volumes.orientation import Canonical
from medsr.volumes.stacks.joined import JoinedScan
from medsr.volumes.stacks.on_grid import coverage

RESULT = "together"


@dataclass(frozen=True, eq=False)
class StackView:
    """One slice of all scans and of the result, the last; each from 0 (black) to 1 (white), rows downwards.

    `spread`: of the result. `aspect`: height of a pixel over its width.
    """

    plane: Plane
    index: int
    images: list[Array]
    spread: Array | None
    aspect: float


class StackPictures:
    """Draws views of what was put together. `names`: of the scans, then of the result.

    `scans`: in the order of the stacks; a picture is black where its scan does not reach.
    """

    def __init__(self, joined: JoinedScan, scans: Sequence[Volume]) -> None:
        turn = Canonical(joined.volume)
        self.names = [*(stack.name for stack in joined.stacks), RESULT]
        self.volumes: list[NDArray] = [turn.view(stack.placed, 0) for stack in joined.stacks]
        result = turn.view(joined.volume.stored, 0)
        self.volumes.append(result)
        grid = joined.volume.grid
        self.covered = [
            turn.view(coverage(scan, grid, stack.motion), 0) for scan, stack in zip(scans, joined.stacks, strict=True)
        ]
        self.window = Window.of_values(result)
        unit = self.window.to_unit(result)
        self.low, self.high = black_and_white(joined.volume, self.window, unit)
        self.range = (self.window.high - self.window.low) * abs(joined.volume.slope)
        self.unit = unit_of(joined.volume)
        self.middle = foreground_middle(unit, result.shape)
        self.shape = result.shape
        self.spacing = turn.steps(joined.volume.grid.spacing)
        self.spread = None if joined.uncertainty is None else turn.view(joined.uncertainty.stored, 0)

    def view(self, plane: Plane, index: int) -> StackView:
        """The slice `index` of the result's grid in that plane."""
        axis = PLANES.index(plane)
        first, second = (n for n in range(3) if n != axis)
        units = (self.window.to_unit(volume.take(index, axis)) for volume in self.volumes)
        images = [shown((unit - self.low) / (self.high - self.low)) for unit in units]
        for image, covered in zip(images, self.covered, strict=False):
            image[~(shown(covered.take(index, axis)) > 0)] = 0
        spread = None if self.spread is None else shown(self.spread.take(index, axis))
        return StackView(plane, index, images, spread, self.spacing[second] / self.spacing[first])

    def spaced(self, plane: Plane, count: int) -> Iterator[StackView]:
        """Up to `count` views spread over the middle four fifths of the plane's slices."""
        length = self.shape[PLANES.index(plane)]
        indices = np.unique(np.linspace(length * 0.1, length * 0.9 - 1, min(count, length)).round().astype(int))
        return (self.view(plane, int(index)) for index in indices.clip(0, length - 1))
