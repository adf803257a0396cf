"""How much of a network's change a result takes: less where the input is sharp already.

A network that learned to undo a range of blurs takes a sharp input for a little blurred one. On unblurred photographs
of other cameras than its own it lost up to 2 dB against interpolation. The input's spectrum says how sharp that is.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from medsr.core.resample import resize_plane
from medsr.core.types import Array
from medsr.images.reflected import Rows
from medsr.images.sharpness import sharpness

TERMS = 6
AROUND = 4
"""Rows of the input around a strip that its interpolation looks at, at most."""


@dataclass(frozen=True)
class Strength:
    """The share of a network's change that came closest to the truth, by the two numbers of `sharpness`.

    `coefficients`: of `terms`. `fine`, `finest`: where the two numbers lay in what was fitted; beyond, their limits
    count. The share is never below 0, nor above 1: nothing is made that the network has not made.
    """

    coefficients: tuple[float, ...]
    fine: tuple[float, float]
    finest: tuple[float, float]

    @classmethod
    def always(cls, share: float) -> Strength:
        """The same share for every image."""
        return cls((share, *(TERMS - 1) * (0.0,)), (0.0, 0.0), (0.0, 0.0))

    @classmethod
    def read(cls, stored: Any) -> Strength | None:
        """As a manifest or card has it; None where it has none, or a damaged one."""
        if not isinstance(stored, Mapping):
            return None
        try:
            values = [tuple(map(float, stored[name])) for name in ("coefficients", "fine", "finest")]
        except (KeyError, TypeError, ValueError):
            return None
        if [len(part) for part in values] != [TERMS, 2, 2] or not np.isfinite(np.concatenate(values)).all():
            return None
        return cls(values[0], (values[1][0], values[1][1]), (values[2][0], values[2][1]))

    def as_dict(self) -> dict[str, Any]:
        """As `read` takes it."""
        return {name: list(values) for name, values in asdict(self).items()}

    def of(self, unit: Rows, shape: tuple[int, ...]) -> float:
        """The share for an image of `shape`, (H, W, C), whose rows `unit` gives in [0, 1]. All for a very small one."""
        if not any(self.coefficients[1:]):
            return self.coefficients[0]
        numbers = sharpness(unit, shape)
        return 1.0 if numbers is None else round(float(self.share(*numbers)), 4)

    def share(self, fine: ArrayLike, finest: ArrayLike) -> NDArray[np.float64]:
        """Of images with those numbers."""
        within = np.clip(fine, *self.fine), np.clip(finest, *self.finest)
        return np.clip(terms(*within) @ np.array(self.coefficients), 0, 1)


def terms(fine: ArrayLike, finest: ArrayLike) -> NDArray[np.float64]:
    """(..., TERMS): what the coefficients are of. Shifted to about 0."""
    x, y = np.asarray(fine, np.float64) + 4, np.asarray(finest, np.float64) + 14
    return np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], axis=-1)


def blend_with_bicubic(strips: Iterable[Array], unit: Rows, height: int, share: float) -> Iterator[Array]:
    """Each strip of a result, (scale rows, scale W, C), changed in place: bicubic + `share` of (result - bicubic).

    `unit`: of the input, which has `height`.
    """
    start = 0
    for strip in strips:
        scale = strip.shape[1] // unit(slice(start, start + 1)).shape[1]
        stop = start + len(strip) // scale
        top, bottom = max(0, start - AROUND), min(height, stop + AROUND)
        rows, inside = unit(slice(top, bottom)), slice((start - top) * scale, (stop - top) * scale)
        for c in range(strip.shape[2]):
            plain = resize_plane(rows[:, :, c], (len(rows) * scale, strip.shape[1]), "bicubic")[inside]
            strip[:, :, c] += (1 - share) * (plain - strip[:, :, c])
        yield strip
        start = stop
