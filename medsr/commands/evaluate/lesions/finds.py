"""Blobs that a matched filter takes for lesions, where there are none."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from medsr.commands.evaluate.lesions.ground_truths import GroundTruths
from medsr.commands.evaluate.lesions.result import Cell
from medsr.core.types import Array
from medsr.lesions.kinds import Family
from medsr.lesions.lesion import Lesion
from medsr.metrics import lesion_finds

MARGIN = 2
"""Sizes of a lesion kept around the places, so that the filter sees what surrounds them."""
THERE = 0.5
"""A find counts as invented where the ground truth reaches less than this part of its own threshold."""


@dataclass
class FindCounter:
    """Counts finds in what models make of one ground truth; the ground truth itself comes first."""

    truths: GroundTruths
    allowed: NDArray[np.bool_]
    step: float
    families: Sequence[Family]
    _known: dict[Cell, NDArray[np.float64]] = field(default_factory=dict)

    def count(
        self, absent: Array, rounds: Sequence[tuple[Sequence[Lesion], Array]]
    ) -> Iterator[tuple[Cell, str, float]]:
        """Per `truths.per`: all false finds, and those that the ground truth does not have."""
        extent = self.allowed.sum() * self.step**self.allowed.ndim / self.truths.amount
        for family in self.families:
            sign = np.float32(np.sign(family.contrasts[0]))
            for size in family.sizes:
                cell = Cell(family.name, size)
                width = size / self.step
                reach = max(2.0, width / 2)
                region = self._region(width)
                real = [
                    lesion_finds.strongest(
                        lesion_finds.response(sign * judged[region], width),
                        self._centres(lesions, cell, region),
                        reach,
                    )
                    for lesions, judged in rounds
                ]
                threshold = lesion_finds.reached_by_half(np.concatenate(real))
                if np.isnan(threshold):
                    continue
                response = lesion_finds.response(sign * absent[region], width)
                where = self.allowed[region]
                if cell not in self._known:
                    positions, heights = lesion_finds.maxima(response, where)
                    self._known[cell] = positions[heights >= THERE * threshold]
                nothing = np.zeros((0, response.ndim))
                everywhere = lesion_finds.false_finds(response, threshold, where, nothing, reach)
                new = lesion_finds.false_finds(response, threshold, where, self._known[cell], reach)
                yield cell, "false_finds", len(everywhere) / extent
                yield cell, "invented", len(new) / extent

    def _region(self, width: float) -> tuple[slice, ...]:
        """The box of all places and what surrounds it."""
        margin = int(np.ceil(MARGIN * width)) + 1
        slices = []
        for axis, length in enumerate(self.allowed.shape):
            others = tuple(other for other in range(self.allowed.ndim) if other != axis)
            used = np.flatnonzero(self.allowed.any(axis=others))
            slices.append(slice(max(0, int(used[0]) - margin), min(length, int(used[-1]) + margin + 1)))
        return tuple(slices)

    def _centres(self, lesions: Sequence[Lesion], cell: Cell, region: tuple[slice, ...]) -> NDArray[np.float64]:
        """(n, axes): of the lesions of that family and size, within the region."""
        corner = np.array([part.start for part in region])
        centres = [lesion.centre for lesion in lesions if (lesion.family, lesion.size) == (cell.family, cell.size)]
        return np.array(centres, np.float64).reshape(-1, len(region)) - corner
