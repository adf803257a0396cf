"""Tiles with a halo and a blended seam, so that a large image gives what it would give in one piece."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from medsr.core.types import Array


@dataclass(frozen=True)
class Seam:
    """`halo`: low-resolution pixels around a tile that the network sees; what lies beyond the seam is thrown away.

    `blend`: half-width of the seam, inside the halo, over which neighbouring tiles are blended.
    """

    halo: int = 48
    blend: int = 16

    @classmethod
    def of_reach(cls, reach: int | None) -> Seam:
        """For a network that sees so far (`engines.reach`); None: nobody has measured it."""
        return cls() if reach is None else cls(reach + NARROW, NARROW)


NARROW = 4
"""Half-width of a seam where both tiles are right up to it."""


@dataclass(frozen=True)
class Span:
    """One tile along one axis: what it is responsible for, and what the network is given (low-resolution pixels)."""

    start: int
    stop: int
    read_start: int
    read_stop: int


def spans(length: int, tile: int, alignment: int = 1, halo: int = Seam.halo) -> list[Span]:
    """Cut `length` into tiles of at most `tile` and a halo on each side; cuts and reads are multiples of `alignment`.

    All tiles read equally much: engines prepare themselves anew for every shape, which takes a quarter of its time.
    """
    halo = -(-halo // alignment) * alignment
    if length <= tile + 2 * halo:
        return [Span(0, length, 0, length)]
    count = -(-(length - 2 * halo) // tile)
    read = _up((length + 2 * halo * (count - 1)) / count, alignment) + alignment  # one more: starts are rounded down
    starts = [i * (length - read) // (count - 1) // alignment * alignment for i in range(count)]
    middles = [(a + read + b) // 2 // alignment * alignment for a, b in pairwise(starts)]
    cuts = [0, *middles, length]
    ends = [*(start + read for start in starts[:-1]), length]  # a length that is not a multiple ends with a longer one
    return [Span(*cut, *read) for cut, *read in zip(pairwise(cuts), starts, ends, strict=True)]


def _up(length: float, multiple: int) -> int:
    return -int(-length // multiple) * multiple


def run(
    image: Array,
    network: Callable[[Array], Array],
    scale: int,
    tile: int,
    alignment: int = 1,
    on_tile: Callable[[int, int], None] | None = None,
    seam: Seam = Seam(),
) -> Array:
    """Run `network`, (H, W, C) to (scale H, scale W, C), over tiles and blend the seams linearly.

    `tile` 0 or not smaller than the image: one piece. `on_tile(done, total)` reports progress. An exception in a
    tile goes to the caller; there is never a hole in the result.
    """
    height, width = image.shape[:2]
    rows, columns = (spans(length, tile or length, alignment, seam.halo) for length in (height, width))
    if len(rows) == len(columns) == 1:
        result = network(image)
        if on_tile:
            on_tile(1, 1)
        return result
    total = np.zeros((height * scale, width * scale, image.shape[2]), np.float32)
    sums = np.zeros(height * scale, np.float32), np.zeros(width * scale, np.float32)
    for axis, places, length in ((0, rows, height), (1, columns, width)):
        for span in places:
            sums[axis][span.read_start * scale : span.read_stop * scale] += _ramp(span, length, scale, seam.blend)
    for done, (row, column) in enumerate(_product(rows, columns), 1):
        out = network(image[row.read_start : row.read_stop, column.read_start : column.read_stop])
        ramps = _ramp(row, height, scale, seam.blend), _ramp(column, width, scale, seam.blend)
        ramp = np.outer(*ramps)[:, :, None]
        region = np.s_[
            row.read_start * scale : row.read_stop * scale, column.read_start * scale : column.read_stop * scale
        ]
        total[region] += out * ramp
        if on_tile:
            on_tile(done, len(rows) * len(columns))
    total /= sums[0][:, None, None]
    total /= sums[1][:, None]
    return total


def _product(rows: list[Span], columns: list[Span]) -> Iterator[tuple[Span, Span]]:
    return ((row, column) for row in rows for column in columns)


def _ramp(span: Span, length: int, scale: int, blend: int) -> Array:
    """Weights of a tile along one axis: 1 inside, falling to 0 across each seam; neighbours add up to 1."""
    centre = (np.arange(span.read_start * scale, span.read_stop * scale) + 0.5) / scale
    weights = np.ones_like(centre)
    if span.start > 0:
        weights = np.minimum(weights, (centre - span.start + blend) / (2 * blend))
    if span.stop < length:
        weights = np.minimum(weights, (span.stop + blend - centre) / (2 * blend))
    return np.clip(weights, 0, 1).astype(np.float32)
