"""One plane of a volume: its slices prepared for a 2D network, run, and put back."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from medsr.batch.pipeline import prefetch
from medsr.core.geometry import PLANES, Plane
from medsr.core.resample import resize
from medsr.core.types import Array
from medsr.volumes.acquisition import Acquisition, Box, ConstantRegion
from medsr.volumes.slice_models import SliceModel

SliceInput = tuple[Array, Box | None]
"""Slices as the model wants them, (n, rows, columns), and where it is to see them; None: nowhere."""
WHOLE: Box = (slice(None), slice(None))
FLIPS = tuple((slice(None), slice(None, None, y), slice(None, None, x)) for y in (1, -1) for x in (1, -1))


@dataclass(frozen=True)
class Slices:
    """`part` of a plane's slices, at `index` in the fine volume; `samples`: once for every flip, as parts of it."""

    part: slice
    index: tuple[slice, ...]
    samples: list[Array]


@dataclass(frozen=True)
class PlaneRun:
    """`normalised`: (i, j, k) in canonical order, as acquired. `operators`: coarse to fine, an axis each.

    `skip_mask`: where nothing varies and interpolation will do. `flipped`: every slice in its four flips.
    """

    plane: Plane
    normalised: Array
    acquisition: Acquisition
    operators: Sequence[Array]
    model: SliceModel
    skip_mask: ConstantRegion | None
    flipped: bool

    @property
    def axis(self) -> int:
        """Perpendicular to the slices."""
        return PLANES.index(self.plane)

    @property
    def inside(self) -> tuple[int, int]:
        """(rows, columns): the axis that is refined the most gives the rows, as in training."""
        first, second = (n for n in range(3) if n != self.axis)
        factor = self.acquisition.factor
        return (second, first) if factor(second) > factor(first) else (first, second)

    def run(self) -> Iterator[Slices]:
        """All slices of the plane; while some are computed, the next are prepared."""
        fine, (rows, columns) = self.acquisition.fine, self.inside
        shape = (fine[rows], fine[columns])
        count, last = self.model.batch(shape), fine[self.axis]
        parts = [slice(start, min(start + count, last)) for start in range(0, last, count)]
        for part, inputs in zip(parts, prefetch(self._prepare, parts), strict=True):
            computed = [self._compute(slices, shape)[flip] for slices, flip in zip(inputs, FLIPS, strict=False)]
            index = tuple(part if n == self.axis else slice(None) for n in range(3))
            yield Slices(part, index, [self._in_place(stack) for stack in computed])

    def _prepare(self, part: slice) -> list[SliceInput]:
        rows, columns = self.inside
        block = self._acquired(part)
        block = np.ascontiguousarray(block.transpose(0, 2, 1) if rows > columns else block)
        box: Box | None = WHOLE
        if self.skip_mask:
            model = self.model
            box = self.skip_mask.box(self.axis, part, self.inside, model.receptive_radius, model.multiple)
        flips = FLIPS if self.flipped else FLIPS[:1]
        # Where a box is known it is that of the slice as it lies, flipped ones are computed whole.
        boxes = [box] + [None if box is None else WHOLE] * (len(flips) - 1)
        return [self._model_input(block[flip], region) for flip, region in zip(flips, boxes, strict=True)]

    def _acquired(self, part: slice) -> Array:
        """The slices `part` of the fine grid, (n, first, second), coarse within."""
        operator = self.operators[self.axis]
        if operator.shape[0] == operator.shape[1]:
            slices = self.normalised[tuple(part if n == self.axis else slice(None) for n in range(3))]
            return np.moveaxis(slices, self.axis, 0)
        return np.tensordot(operator[part], self.normalised, (1, self.axis))

    def _model_input(self, block: Array, box: Box | None) -> SliceInput:
        """(n, rows, columns) as acquired to what the model wants; interpolated where nothing is to be computed."""
        if self.model.scale == 1 or box is None:
            rows, columns = self.inside
            return np.matmul(np.matmul(self.operators[rows], block), self.operators[columns].T), box
        return np.ascontiguousarray(block), box

    def _compute(self, inputs: SliceInput, shape: tuple[int, int]) -> Array:
        """To (n, *shape)."""
        stack, box = inputs
        factors = (self.acquisition.factor(self.inside[0]), self.acquisition.factor(self.inside[1]))
        if box is None:
            return stack
        if self.model.scale == 1:
            stack[:, box[0], box[1]] = self.model.slices(np.ascontiguousarray(stack[:, box[0], box[1]]), factors)
            return stack
        large = self.model.slices(stack, factors)
        if large.shape[1:] == shape:
            return large
        return np.stack([resize(pixels[:, :, None], shape, "lanczos")[:, :, 0] for pixels in large])

    def _in_place(self, out: Array) -> Array:
        """(n, rows, columns) back to the volume's order of axes."""
        rows, columns = self.inside
        return np.moveaxis(out.transpose(0, 2, 1) if rows > columns else out, 0, self.axis)
