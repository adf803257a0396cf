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

MARGIN = 3.5
"""Sizes of a lesion that the filter sees to each side."""
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
        extent = self.truths.extent(self.allowed, self.step)
        responses: dict[float, Array] = {}
        for family in self.families:
            sign = np.float32(np.sign(family.contrasts[0]))
            for size in family.sizes:
                cell = Cell(family.name, size)
                width = size / self.step
                reach = max(2.0, width / 2)
                real = [
                    _strongest(sign, judged, lesion.centre, width, reach)
                    for lesions, judged in rounds
                    for lesion in lesions
                    if (lesion.family, lesion.size) == (family.name, size)
                ]
                threshold = lesion_finds.reached_by_half(np.array(real))
                if np.isnan(threshold):
                    continue
                region = self._region(width)
                if size not in responses:
                    responses[size] = lesion_finds.response(absent[region], width)
                positions, heights = lesion_finds.maxima(sign * responses[size], self.allowed[region])
                if cell not in self._known:
                    there = min(THERE * threshold, threshold)  # on an uneven place half may not even reach 0
                    self._known[cell] = positions[heights >= there]
                found = positions[heights >= threshold]
                new = lesion_finds.away_from(found, self._known[cell], reach)
                yield cell, "false_finds", len(found) / extent
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


def _strongest(sign: np.float32, judged: Array, centre: Sequence[int], width: float, reach: float) -> float:
    """The largest response near a lesion, from as much of the image as the filter sees."""
    half = int(np.ceil(MARGIN * width + reach))
    window = tuple(slice(max(0, at - half), at + half + 1) for at in centre[: judged.ndim])
    own = np.array([[at - part.start for at, part in zip(centre, window, strict=False)]], np.float64)
    return float(lesion_finds.strongest(lesion_finds.response(sign * judged[window], width), own, reach)[0])
