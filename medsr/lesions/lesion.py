"""One lesion: everything that its drawing needs, besides the image."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial.transform import Rotation

from medsr.lesions.kinds import Family, Shape

SEEDS = 2**31


@dataclass(frozen=True)
class Lesion:
    """The same lesion is drawn the same way into the same image.

    `size`: full width in the unit of the kind; see `draw.difference` for what it means for each shape.
    `contrast`: relative to the local mean. `colour`: weight of the contrast in each channel of a colour image.
    `centre`: array indices. `ratios`: of each axis to their geometric mean. `turn`: radians, one angle in an image
    (from rows to columns), a rotation vector in a volume. `seed`: of an irregular outline.
    """

    family: str
    shape: Shape
    size: float
    contrast: float
    colour: tuple[float, float, float]
    centre: tuple[int, ...]
    ratios: tuple[float, ...]
    turn: tuple[float, ...]
    seed: int


def random_lesion(
    family: Family, size: float, contrast: float, centre: tuple[int, ...], rng: np.random.Generator
) -> Lesion:
    """A lesion of a family at `centre`, two or three array indices: axes, turn and outline are random."""
    axes = len(centre)
    ratios = _ratios(family.ratios, axes, rng)
    turn = rng.uniform(0, 2 * np.pi, 1) if axes == 2 else Rotation.random(rng=rng).as_rotvec()
    seed = int(rng.integers(SEEDS))
    whole = tuple(int(index) for index in centre)
    return Lesion(
        family.name, family.shape, size, contrast, family.colour, whole, ratios, tuple(map(float, turn)), seed
    )


def _ratios(limits: tuple[float, float], axes: int, rng: np.random.Generator) -> tuple[float, ...]:
    """Uniform in their logarithms within the limits, on the condition that their geometric mean is 1."""
    low, high = np.log(limits)
    if low == high:
        return (1.0,) * axes
    while True:
        logs = rng.uniform(low, high, axes - 1)
        last = -logs.sum()
        if low <= last <= high:
            return (*map(float, np.exp(logs)), float(np.exp(last)))
