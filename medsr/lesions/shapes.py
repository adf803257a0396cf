"""The shapes of lesions, as functions of the place."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from medsr.lesions.kinds import Shape
from medsr.lesions.lesion import Lesion

Points = NDArray[np.float64]
SOFT = 0.7
"""mm over which the edge of an ellipsoid falls from 1 to 0."""
BLOT_EDGE, EXUDATE_EDGE = 2.0, 1.0
"""Pixels over which those edges fall."""
WAVES = {"blot": (0.0, 0.0, 0.14, 0.09, 0.05), "exudate": (0.0, 0.0, 0.1, 0.06)}
"""Standard deviation of each harmonic of an irregular outline, in parts of the radius."""
FURTHEST = 1.6
"""No outline reaches further, in radii."""
DESIGNER_EXPONENT = 1.5


def profile(lesion: Lesion, points: Sequence[Points]) -> Points:
    """The lesion's shape, in [0, 1], where `points` are: one array an axis, broadcastable, from the centre."""
    along = _own_axes(lesion, points)
    distance = np.sqrt(sum(axis**2 for axis in along))
    scaled = np.sqrt(sum((axis / ratio) ** 2 for axis, ratio in zip(along, lesion.ratios, strict=True)))
    return _PROFILES[lesion.shape](lesion, distance, scaled, along)


def reach(lesion: Lesion) -> float:
    """How far from the centre the shape may differ from 0, in the unit of the lesion's size."""
    radius, longest = lesion.size / 2, max(lesion.ratios)
    if lesion.shape == "spot":
        return lesion.size * longest
    if lesion.shape in WAVES:
        return radius * longest * FURTHEST + max(BLOT_EDGE, EXUDATE_EDGE)
    return radius * longest + SOFT


def _own_axes(lesion: Lesion, points: Sequence[Points]) -> list[Points]:
    """The same points along the lesion's own axes."""
    if len(points) == 2:
        cosine, sine = np.cos(lesion.turn[0]), np.sin(lesion.turn[0])
        return [cosine * points[0] + sine * points[1], cosine * points[1] - sine * points[0]]
    matrix = Rotation.from_rotvec(lesion.turn).as_matrix()
    return [sum((matrix[n, axis] * points[n] for n in range(3)), np.zeros(())) for axis in range(3)]


def _step_down(inside: Points) -> Points:
    """From 0 at -0.5 smoothly to 1 at 0.5."""
    x = np.clip(inside + 0.5, 0, 1)
    return x * x * (3 - 2 * x)


def _ellipsoid(lesion: Lesion, distance: Points, scaled: Points, along: Sequence[Points]) -> Points:
    """1 within, half of it on the surface. The distance to the surface is that along the radius."""
    stretch = np.divide(distance, scaled, out=np.ones_like(scaled), where=scaled > 0)
    return _step_down((lesion.size / 2 - scaled) * stretch / SOFT)


def _nodule(lesion: Lesion, distance: Points, scaled: Points, along: Sequence[Points]) -> Points:
    return np.clip(1 - (2 * scaled / lesion.size) ** 2, 0, None) ** DESIGNER_EXPONENT


def _spot(lesion: Lesion, distance: Points, scaled: Points, along: Sequence[Points]) -> Points:
    return _step_down(0.5 - scaled / lesion.size)


def _blot(lesion: Lesion, distance: Points, scaled: Points, along: Sequence[Points]) -> Points:
    return _irregular(lesion, scaled, along, BLOT_EDGE)


def _exudate(lesion: Lesion, distance: Points, scaled: Points, along: Sequence[Points]) -> Points:
    return _irregular(lesion, scaled, along, EXUDATE_EDGE)


def _irregular(lesion: Lesion, scaled: Points, along: Sequence[Points], edge: float) -> Points:
    angle = np.arctan2(along[1] / lesion.ratios[1], along[0] / lesion.ratios[0])
    radius = lesion.size / 2 * _outline(lesion, angle)
    return _step_down((radius - scaled) / min(edge, lesion.size))


def _outline(lesion: Lesion, angle: Points) -> Points:
    """The radius in every direction, in parts of that of the disc of the same area."""
    spread = np.asarray(WAVES[lesion.shape])
    weights = np.random.default_rng(lesion.seed).normal(size=(2, len(spread))) * spread
    harmonics = np.arange(len(spread))

    def waves(at: Points) -> Points:
        turns = at[..., None] * harmonics
        sums: Points = 1 + np.cos(turns) @ weights[0] + np.sin(turns) @ weights[1]
        return np.clip(sums, 0.6, 1.4)

    around = np.linspace(0, 2 * np.pi, 360, endpoint=False)
    result: Points = np.minimum(waves(angle) / np.sqrt(np.mean(waves(around) ** 2)), FURTHEST)
    return result


_PROFILES: dict[Shape, Callable[[Lesion, Points, Points, Sequence[Points]], Points]] = {
    "ellipsoid": _ellipsoid,
    "nodule": _nodule,
    "spot": _spot,
    "blot": _blot,
    "exudate": _exudate,
}
