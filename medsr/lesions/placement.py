"""Which lesions are drawn into a ground truth, and where."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from itertools import product

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt

from medsr.core.errors import InputError
from medsr.core.types import Array
from medsr.lesions.coarse import Mask
from medsr.lesions.kinds import FAMILIES, Family, Kind
from medsr.lesions.lesion import Lesion, random_lesion
from medsr.lesions.places import allowed
from medsr.lesions.shapes import SOFT

MOST = 60
"""Lesions in one ground truth."""
APART = (4.0, 8.0)
"""Least distance of two centres: in sizes of the larger lesion, and pixels or voxels beyond that."""
PLACES = 50_000
"""Of more allowed pixels or voxels than these, so many are considered, drawn at random."""
Cell = tuple[Family, float, float]


def place(
    kind: Kind,
    truth: Array,
    step: float,
    seed: int,
    families: Sequence[Family] | None = None,
    apart: tuple[float, float] = APART,
    where: Mask | None = None,
) -> list[Lesion]:
    """Lesions whose middle lies in `allowed`, as many as fit, at most 60. The same arguments give the same lesions.

    Every family, size and contrast comes once before any comes twice; the seed decides in which order. So that large
    lesions are as frequent as small ones, as many of that order as fit together are placed first, the largest before
    the others; what still fits of the rest follows. A lesion lies within the allowed place up to its full width.

    Args:
        kind: As for `allowed`.
        truth: As for `allowed`.
        step: As for `allowed`.
        seed: Of everything random.
        families: What is drawn; by default all that `kinds.FAMILIES` has of this kind.
        apart: Least distance of two centres: `apart[0]` times the larger lesion's size plus `apart[1]` pixels or
            voxels. From the border, as from what lies between two lesions, it is half of that.
        where: What `allowed` returns for the same arguments, if that is there already.

    Raises:
        InputError: there is no place for such lesions. The message does not name the file.
    """
    rng = np.random.default_rng(seed)
    room = _Room(allowed(kind, truth, step) if where is None else where, step, apart, rng)
    cells = [
        (family, size, contrast)
        for family in (FAMILIES[kind] if families is None else families)
        for size, contrast in product(family.sizes, family.contrasts)
        if room.free(size).any()
    ]
    if not cells:
        raise InputError("no lesion fits into what this image shows. Leave it out")
    order = [cells[index] for _ in range(MOST) for index in rng.permutation(len(cells))][:MOST]
    certain = bisect_left(range(1, len(order) + 1), True, key=lambda n: len(room.filled(order[:n], seed)) < n)
    room.filled(order[:certain], seed)
    room.add(order[certain:], rng)
    return [random_lesion(*cell, centre, rng) for cell, centre in room.lesions]


class _Room:
    """The places of one ground truth. `lesions`: what was put there, and where."""

    def __init__(self, mask: Mask, step: float, apart: tuple[float, float], rng: np.random.Generator) -> None:
        """`mask`: allowed places. `step`, `apart`: as `place` takes them. `rng`: which places are considered."""
        self.lesions: list[tuple[Cell, tuple[int, ...]]] = []
        self._step, self._apart = step, apart
        indices = np.flatnonzero(mask)
        if len(indices) > PLACES:
            indices = np.sort(rng.choice(indices, PLACES, replace=False))
        self._places = np.stack(np.unravel_index(indices, mask.shape), axis=1)
        self._depth = _depth(mask, self._places) * step
        self._border = np.minimum(self._places, np.array(mask.shape) - 1 - self._places).min(axis=1)
        self._along = [axis.astype(np.float32) for axis in self._places.T]
        self._free: dict[float, Mask] = {}

    def filled(self, cells: Sequence[Cell], seed: int) -> list[tuple[Cell, tuple[int, ...]]]:
        """Empty the room and put those of the cells there that fit, the largest first."""
        self.lesions, self._free = [], {}
        self.add(sorted(cells, key=lambda cell: -cell[1]), np.random.default_rng((seed, 1)))
        return self.lesions

    def add(self, cells: Iterable[Cell], rng: np.random.Generator) -> None:
        """Put those of the cells into the room that still fit, in their order."""
        for cell in cells:
            indices = np.flatnonzero(self.free(cell[1]))
            if indices.size:
                self._take(cell, self._places[rng.choice(indices)])

    def free(self, size: float) -> Mask:
        """Which of the places a lesion of that size still fits in."""
        if size not in self._free:
            self._free[size] = (self._depth >= (size + SOFT) / 2) & (self._border >= self._distance(size) / 2)
            for (_, other, _), centre in self.lesions:
                self._free[size] &= self._distances(centre) >= self._distance(max(size, other))
        return self._free[size]

    def _take(self, cell: Cell, centre: NDArray[np.intp]) -> None:
        distances = self._distances(centre)
        for size, free in self._free.items():
            free &= distances >= self._distance(max(size, cell[1]))
        self.lesions.append((cell, tuple(map(int, centre))))

    def _distances(self, centre: Sequence[int] | NDArray[np.intp]) -> NDArray[np.float32]:
        squares = sum(
            ((along - np.float32(middle)) ** 2 for along, middle in zip(self._along, centre, strict=True)),
            np.zeros((), np.float32),
        )
        return np.sqrt(squares)

    def _distance(self, size: float) -> float:
        """Pixels or voxels."""
        return self._apart[0] * size / self._step + self._apart[1]


def _depth(mask: Mask, places: NDArray[np.intp]) -> NDArray[np.float64]:
    """How far each place is from what is not allowed, in pixels or voxels."""
    lines = [np.flatnonzero(mask.any(axis=tuple(set(range(mask.ndim)) - {axis}))) for axis in range(mask.ndim)]
    box = mask[tuple(slice(line[0], line[-1] + 1) for line in lines)]
    first = np.array([line[0] for line in lines])
    depth: NDArray[np.float64] = distance_transform_edt(np.pad(box, 1))[tuple((places - first + 1).T)]
    return depth
