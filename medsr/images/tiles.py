"""Tiles with a halo and a blended seam, so that a large image gives what it would give in one piece."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
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

    @property
    def read(self) -> slice:
        """What the network is given."""
        return slice(self.read_start, self.read_stop)


def spans(length: int, tile: int, alignment: int = 1, halo: int = Seam.halo) -> list[Span]:
    """Cut `length` into tiles of at most `tile` and a halo on each side; cuts and reads are multiples of `alignment`.

    All tiles read equally much: engines prepare themselves anew for every shape, which takes a quarter of its time.
    `tile` 0: one piece.
    """
    halo = -(-halo // alignment) * alignment
    if tile == 0 or length <= tile + 2 * halo:
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


def join_tiles(parts: Iterable[Array], places: Sequence[Span], scale: int, blend: int) -> Iterator[Array]:
    """Results of tiles along the first axis, (scale read, ...) each, blended linearly where they meet.

    Gives the finished pieces one after the other, parts of the results among them: they are to be used before the next.
    """
    half = min(blend, *((place.stop - place.start) // 2 for place in places)) * scale
    ramp = ((np.arange(2 * half, dtype=np.float32) + 0.5) / max(2 * half, 1)).astype(np.float32)
    seam: Array | None = None
    for place, part in zip(places, parts, strict=True):
        start, stop = ((cut - place.read_start) * scale for cut in (place.start, place.stop))
        if seam is not None:
            rising = ramp.reshape(-1, *(1 for _ in part.shape[1:]))
            yield seam + rising * (part[start - half : start + half] - seam)
            start += half
        if place is not places[-1]:
            stop -= half
            seam = part[stop : stop + 2 * half].copy()  # an engine may write its next result over this one
        yield part[start:stop]


def row(
    block: Array,
    network: Callable[[Array], Array],
    columns: Sequence[Span],
    scale: int,
    blend: int,
    on_tile: Callable[[int, int], None] | None = None,
) -> Array:
    """A row of tiles: (H, W, C) to (scale H, scale W, C) by `network`, which is given the `columns` one by one.

    `on_tile(done, total)` reports progress. An exception in a tile goes to the caller.
    """
    height, width, channels = block.shape
    result = np.empty((scale * height, scale * width, channels), np.float32)

    def parts() -> Iterator[Array]:
        for done, column in enumerate(columns, 1):
            yield network(block[:, column.read]).swapaxes(0, 1)
            if on_tile:
                on_tile(done, len(columns))

    start = 0
    for piece in join_tiles(parts(), columns, scale, blend):
        result[:, start : start + len(piece)] = piece.swapaxes(0, 1)
        start += len(piece)
    return result
