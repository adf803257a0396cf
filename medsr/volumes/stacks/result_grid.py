"""From the common grid to the volume that is written: the first scan's values and order of axes, or another's grid."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from medsr.core.geometry import Grid
from medsr.core.intensity import Window
from medsr.core.types import Array
from medsr.io.volumes.base import Volume
from medsr.volumes.orientation import Canonical
from medsr.volumes.stacks import grids, prepare
from medsr.volumes.stacks.acquired import SliceStack, StackModel


class ResultGrid:
    """Turns arrays on the common grid into volumes like the first scan, in the order of its axes, or of `like`'s.

    `common`: the grid of the computation, `grid`: the part of it that the result fills; `window`: of the values that
    the first scan means.
    """

    def __init__(self, common: Grid, grid: Grid, window: Window, first: Volume, like: Volume | None) -> None:
        self.first, self.window, self.grid = first, window, grid
        self.turn = Canonical(first if like is None else like)
        self.part = tuple(slice(grids.MARGIN, grids.MARGIN + n) for n in grid.shape)
        self.model: StackModel | None = None
        if like is not None:
            self.grid = prepare.canonical_grid(like)
            through = int(np.argmax(self.grid.spacing))
            stack = SliceStack("", np.empty(0, np.float32), self.grid, through, self.grid.spacing[through])
            self.model = StackModel(stack, common, np.eye(4))

    def volume(self, joint: Array, covering: NDArray[np.uint8]) -> Volume:
        """Unit values on the common grid, as stored values. What nothing covers means 0, or the least that is held."""
        limits = prepare.limits_of(self.first.stored.dtype)
        low, high = ((value - self.first.intercept) / self.first.slope for value in (self.window.low, self.window.high))
        stored = Window(low, high, *limits).to_stored(self._cut(joint), self.first.stored.dtype)
        nothing = float(np.clip(-self.first.intercept / self.first.slope, *limits))
        outside = self._cut((covering > 0).astype(np.float32)) < 0.5
        stored[outside] = round(nothing) if stored.dtype.kind in "iu" else nothing
        return replace(self._bare(stored), slope=self.first.slope, intercept=self.first.intercept)

    def stored(self, unit: Array) -> Array:
        """Unit values on the result's grid as the first scan's stored values, float32 and not rounded."""
        meaning = unit * np.float32(self.window.high - self.window.low) + np.float32(self.window.low)
        return self.turn.back((meaning - np.float32(self.first.intercept)) / np.float32(self.first.slope))

    def spread(self, spread: Array) -> Volume:
        """A deviation in unit values, in the first scan's own units."""
        return self._bare(self._cut(spread) * np.float32(self.window.high - self.window.low))

    def counts(self, values: NDArray[np.uint8]) -> Volume:
        """How many there are, uint8."""
        return self._bare(np.rint(self._cut(values.astype(np.float32))).astype(np.uint8))

    def _cut(self, values: Array) -> Array:
        """Of the common grid what the result's shows. The margin fades, so that nothing rings at the border."""
        if self.model is not None:
            return self.model.acquire(values * grids.window(values.shape))
        return np.ascontiguousarray(values[self.part])

    def _bare(self, canonical: NDArray) -> Volume:
        """A volume on the result's grid, in the axes' order of its file."""
        stored = np.asfortranarray(self.turn.back(canonical))
        return replace(
            self.first,
            stored=stored,
            affine=prepare.affine_in_order(self.grid, self.turn),
            slope=1.0,
            intercept=0.0,
            background=None,
        )
