"""An image as a network sees it: reflected at its right and lower border, and given rows by rows."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from medsr.core.types import Array

Rows = Callable[[slice], Array]
"""Gives rows of an image, (rows, W, C) in [0, 1]."""
PRE_PAD = 10
"""Pixels reflected at the right and lower border before the network sees the image, as in RealESRGANer."""


class Reflected:
    """The image of `shape`, (H, W, C), whose rows `unit` gives; reflected twice, as RealESRGANer does.

    First by PRE_PAD, then to a `multiple`, the size that fits the network. A single row or column is repeated.
    """

    def __init__(self, unit: Rows, shape: tuple[int, ...], multiple: int) -> None:
        self.unit, self.shape, self.multiple = unit, shape, multiple
        mode = "reflect" if min(shape[:2]) > 1 else "edge"
        self._down, self._across = (_places(length, multiple, mode) for length in shape[:2])
        self.size = len(self._down), len(self._across)

    def rows(self, rows: slice) -> Array:
        """Rows of it, (rows, its width, C)."""
        places = self._down[rows]
        first = int(places.min())
        part = self.unit(slice(first, int(places.max()) + 1))
        if rows.stop > self.shape[0]:
            part = part[places - first]
        return np.concatenate([part, part[:, self._across[self.shape[1] :]]], axis=1)


def _places(length: int, multiple: int, mode: str) -> NDArray[np.intp]:
    """Where along an axis each pixel comes from."""
    places = np.arange(length)
    for size in (length + PRE_PAD, -(-(length + PRE_PAD) // multiple) * multiple):
        places = np.pad(places, (0, size - len(places)), mode)  # type: ignore[call-overload]
    return places
