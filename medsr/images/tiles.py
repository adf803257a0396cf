"""Tiles with a halo and a blended seam, so that a large image gives what it would give in one piece."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from medsr.core.types import Array

HALO = 48
"""Low-resolution pixels around a tile that the network sees. The outer two thirds are thrown away."""
BLEND = 16
"""Half-width of the seam, inside the halo, over which neighbouring tiles are blended."""


@dataclass(frozen=True)
class Span:
    """One tile along one axis: what it is responsible for, and what the network is given (low-resolution pixels)."""

    start: int
    stop: int
    read_start: int
    read_stop: int


def spans(length: int, tile: int, alignment: int = 1, halo: int = HALO) -> list[Span]:
    """Cut `length` into near-equal tiles of at most `tile`, every cut and every read a multiple of `alignment`."""
    count = -(-length // tile)
    cuts = [round(i * length / count / alignment) * alignment for i in range(count)] + [length]
    halo = -(-halo // alignment) * alignment
    return [Span(a, b, max(0, a - halo), min(length, b + halo)) for a, b in pairwise(cuts) if b > a]


def run(
    image: Array,
    network: Callable[[Array], Array],
    scale: int,
    tile: int,
    alignment: int = 1,
    on_tile: Callable[[int, int], None] | None = None,
) -> Array:
    """Run `network`, (H, W, C) to (scale H, scale W, C), over tiles and blend the seams linearly.

    `tile` 0 or not smaller than the image: one piece. `on_tile(done, total)` reports progress. An exception in a
    tile goes to the caller; there is never a hole in the result.
    """
    height, width = image.shape[:2]
    rows, columns = spans(height, tile or height, alignment), spans(width, tile or width, alignment)
    if len(rows) == len(columns) == 1:
        result = network(image)
        if on_tile:
            on_tile(1, 1)
        return result
    total = np.zeros((height * scale, width * scale, image.shape[2]), np.float32)
    sums = np.zeros(height * scale, np.float32), np.zeros(width * scale, np.float32)
    for axis, places, length in ((0, rows, height), (1, columns, width)):
        for span in places:
            sums[axis][span.read_start * scale : span.read_stop * scale] += _ramp(span, length, scale)
    for done, (row, column) in enumerate(_product(rows, columns), 1):
        out = network(image[row.read_start : row.read_stop, column.read_start : column.read_stop])
        ramp = np.outer(_ramp(row, height, scale), _ramp(column, width, scale))[:, :, None]
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


def _ramp(span: Span, length: int, scale: int) -> Array:
    """Weights of a tile along one axis: 1 inside, falling to 0 across each seam; neighbours add up to 1."""
    centre = (np.arange(span.read_start * scale, span.read_stop * scale) + 0.5) / scale
    weights = np.ones_like(centre)
    if span.start > 0:
        weights = np.minimum(weights, (centre - span.start + BLEND) / (2 * BLEND))
    if span.stop < length:
        weights = np.minimum(weights, (span.stop + BLEND - centre) / (2 * BLEND))
    return np.clip(weights, 0, 1).astype(np.float32)
