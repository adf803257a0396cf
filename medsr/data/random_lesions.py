"""Lesion-like signals for training crops: the evaluation's families, drawn from ranges, in shapes that vary more."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from medsr.core.types import Array
from medsr.lesions.kinds import BLOOD, LIPID, Kind
from medsr.recipe import Data, Lesions

Range = tuple[float, float]

TRIES = 10
"""How many places a lesion tries before it is left out."""
SMALL = 6.0
"""Below that size, in pixels, a shape is averaged over 3 x 3 points of each pixel."""
FURTHEST_SECTION = 0.9
"""Of a section of an ellipsoid from its centre, in parts of the radius."""


@dataclass(frozen=True)
class RandomFamily:
    """What lesions of one family vary in.

    `sign`: 1 brighter than the tissue, -1 darker. `sizes`: full width at half maximum, in mm (mri) or pixels.
    `contrasts`: in parts of the tissue. `colour`: weight of the contrast in red, green and blue, each but the largest
    varied by `COLOUR_SPREAD`. `elongation`: of the longer axis to the mean, at most. `flatness` p and `fall` v: the
    shape is (1 - r^p)^v; large p and small v are a plateau with a sharp edge. `bend`: of its axes, at most, in parts of
    the radius: eggs and beans. `darkest`: brightest channel from which a pixel of the crop counts as tissue.
    """

    name: str
    sign: int
    sizes: Range
    contrasts: Range
    flatness: Range
    fall: Range
    elongation: float
    darkest: float
    bend: float = 0.0
    colour: tuple[float, float, float] = (1.0, 1.0, 1.0)


COLOUR_SPREAD = 0.25
FAMILIES: Mapping[Kind, tuple[RandomFamily, ...]] = {
    "mri": (
        RandomFamily("hyperintense", 1, (1.5, 10), (0.1, 0.8), (2, 8), (0.75, 1.5), 1.6, 0.1, 0.15),
        RandomFamily("hypointense", -1, (1.5, 10), (0.1, 0.8), (2, 8), (0.75, 1.5), 1.6, 0.1, 0.15),
    ),
    "cxr": (RandomFamily("nodule", 1, (3, 28), (0.04, 0.32), (2, 4), (0.75, 2.5), 1.3, 0.03, 0.15),),
    "fundus": (
        RandomFamily("microaneurysm", -1, (2, 9), (0.1, 0.4), (2, 4), (0.75, 2), 1.2, 0.12, 0.0, BLOOD),
        RandomFamily("haemorrhage", -1, (6, 20), (0.1, 0.4), (2, 8), (0.75, 1.5), 1.5, 0.12, 0.25, BLOOD),
        RandomFamily("exudate", 1, (2.5, 10), (0.1, 0.4), (4, 10), (0.75, 1.5), 1.4, 0.12, 0.2, LIPID),
    ),
}


@dataclass(frozen=True)
class RandomLesion:
    """Everything its drawing needs, besides the crop. Lengths are in pixels, `offset` in parts of the radius.

    `size`: full width at half maximum. `centre`: row and column, between pixels too. `axis`: half of the longer axis
    to the mean of both. `offset`: how far from a section of an ellipsoid its centre lies.
    """

    family: str
    size: float
    contrast: float
    colour: tuple[float, float, float]
    centre: tuple[float, float]
    axis: float
    turn: float
    flatness: float
    fall: float
    offset: float
    bend: tuple[float, float]

    @property
    def radius(self) -> float:
        """Where the shape ends, without bend and elongation: beyond half of `size`, where it is half."""
        return self.size / 2 / (1 - 0.5 ** (1 / self.fall)) ** (1 / self.flatness)

    @property
    def longest(self) -> float:
        """How far the outline may reach, in radii."""
        return self.axis * (1 + 1.5 * max(map(abs, self.bend)))


def draw(tissue: Array, data: Data, step: float, rng: np.random.Generator) -> list[RandomLesion]:
    """The lesions of a crop, as `data.lesions` says. They lie where all around is bright enough to be no background.

    Args:
        tissue: (H, W) or (H, W, C) in [0, 1]: the crop before its intensities were changed.
        data: Centres keep to the middle of the crop, of side `data.crop`, which mostly is what is trained on.
        step: From one pixel to the next, in the unit of `data.lesions.sizes`.
        rng: The crop's stream, after everything else of the crop was drawn from it.
    """
    settings = data.lesions
    if settings is None or rng.random() >= settings.probability:
        return []
    families = FAMILIES[settings.kind]
    lesions: list[RandomLesion] = []
    for _ in range(int(rng.integers(1, settings.most + 1))):
        family = families[int(rng.integers(len(families)))]
        size = _log_uniform(settings.sizes or family.sizes, rng.random()) / step
        for shares in rng.random((TRIES, 2)).tolist():
            row, column = (
                (side - 1) / 2 + (share - 0.5) * (min(side, data.crop) - 1)
                for share, side in zip(shares, tissue.shape, strict=False)
            )
            if _apart((row, column), size, lesions) and _in_tissue(tissue, (row, column), size, family.darkest):
                lesions.append(_lesion(family, settings, size, (row, column), rng))
                break
    return lesions


def apply(crop: Array, lesions: list[RandomLesion]) -> None:
    """Draw lesions into a crop, (H, W) or (H, W, C), in place. (H, W, C) is an image: it is clipped to [0, 1]."""
    for window, added in [difference(crop, lesion) for lesion in lesions]:
        part = crop[window]
        part += added
        if crop.ndim == 3:
            part.clip(0, 1, out=part)


def difference(crop: Array, lesion: RandomLesion) -> tuple[tuple[slice, slice], Array]:
    """Where a lesion lies in a crop, and what it adds there: contrast x local mean x colour x shape."""
    window = _around(lesion.centre, lesion.radius * lesion.longest + 1, crop)
    local = crop[_around(lesion.centre, lesion.size / 2 + 2, crop)]
    shape = _shape(lesion, window)
    if crop.ndim == 2:
        return window, shape * np.float32(lesion.contrast * local.mean())
    colour = np.asarray(lesion.colour if crop.shape[2] == 3 else (1.0,), np.float32)
    return window, shape[:, :, None] * (lesion.contrast * colour * local.mean(axis=(0, 1)))


def _log_uniform(limits: Range, share: float) -> float:
    """Every factor of two is equally likely."""
    low, high = limits
    return low * (high / low) ** share


def _apart(centre: tuple[float, float], size: float, others: list[RandomLesion]) -> bool:
    return all(math.dist(centre, other.centre) > size + other.size + 2 for other in others)


def _in_tissue(tissue: Array, centre: tuple[float, float], size: float, darkest: float) -> bool:
    part = tissue[_around(centre, size / 2 + 1, tissue)]
    return bool((part if part.ndim == 2 else part.max(axis=2)).min() >= darkest)


def _lesion(
    family: RandomFamily, settings: Lesions, size: float, centre: tuple[float, float], rng: np.random.Generator
) -> RandomLesion:
    contrast, axis, turn, flatness, fall, offset, red, green, blue, bend, other = rng.random(11).tolist()
    colour = tuple(
        weight if weight == 1 else weight * (1 + COLOUR_SPREAD * (2 * share - 1))
        for weight, share in zip(family.colour, (red, green, blue), strict=True)
    )
    return RandomLesion(
        family.name,
        size,
        family.sign * _log_uniform(settings.contrasts or family.contrasts, contrast),
        (colour[0], colour[1], colour[2]),
        centre,
        family.elongation**axis,
        math.pi * turn,
        _log_uniform(family.flatness, flatness),
        _log_uniform(family.fall, fall),
        FURTHEST_SECTION * (2 * offset - 1) if settings.kind == "mri" else 0.0,
        (family.bend * (2 * bend - 1), family.bend * (2 * other - 1)),
    )


def _around(centre: tuple[float, float], radius: float, crop: Array) -> tuple[slice, slice]:
    """The pixels within `radius` of the centre along both axes, within the crop."""
    (row, column), (height, width) = centre, crop.shape[:2]
    rows = slice(max(math.ceil(row - radius), 0), min(math.floor(row + radius) + 1, height))
    return rows, slice(max(math.ceil(column - radius), 0), min(math.floor(column + radius) + 1, width))


def _shape(lesion: RandomLesion, window: tuple[slice, slice]) -> Array:
    """In [0, 1], averaged over every pixel of the window."""
    fine = 3 if lesion.size < SMALL else 1
    y, x = (
        ((np.arange((part.stop - part.start) * fine) + 0.5) / fine - 0.5 + (part.start - middle)).astype(np.float32)
        for part, middle in zip(window, lesion.centre, strict=True)
    )
    cosine, sine = math.cos(lesion.turn) / lesion.radius, math.sin(lesion.turn) / lesion.radius
    along = (y * (cosine / lesion.axis))[:, None] + x * (sine / lesion.axis)
    across = (y * (-sine * lesion.axis))[:, None] + x * (cosine * lesion.axis)
    if any(lesion.bend):
        along, across = along + lesion.bend[0] * across**2, across + lesion.bend[1] * along**2
    inside = 1 - (along**2 + across**2 + np.float32(lesion.offset**2)) ** np.float32(lesion.flatness / 2)
    shape: Array = np.maximum(inside, 0, out=inside) ** np.float32(lesion.fall)
    if fine == 1:
        return shape
    rows = shape[::3] + shape[1::3] + shape[2::3]
    averaged: Array = (rows[:, ::3] + rows[:, 1::3] + rows[:, 2::3]) / np.float32(9)
    return averaged
