"""Does a lesion survive? The difference that it makes in a result against the difference that it makes in the truth."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_dilation, generate_binary_structure, label, map_coordinates

from medsr.core.types import Array

Mask = NDArray[np.bool_]
Values = NDArray[np.float64]
VISIBLE = 0.05
"""Below this part of the truth's peak there is no lesion whose width or place could be measured."""
COLOURS = (1, 3)
FINER = 4
"""Points along a pixel at which a difference is interpolated, to see where it falls below half."""


@dataclass(frozen=True)
class Recovery:
    """How much of one lesion a result shows. A perfect result: 1, 1, 1, 0 and 0; an erased lesion: 0, 0, nan, nan, 0.

    `peak`: largest difference within the lesion, in parts of the truth's largest; below 0 where the lesion is inverted.
    `integrated`: sum of the difference within the lesion, in parts of the truth's.
    `width`: full width at half maximum, in parts of the truth's. `displacement`: of the centroid, in `step`'s unit.
    `leakage`: absolute difference outside the lesion, in parts of the truth's whole. What is not defined is nan.
    """

    peak: float
    integrated: float
    width: float
    displacement: float
    leakage: float


UNDEFINED = Recovery(*[float("nan")] * 5)


def recovery(truth_difference: Array, result_difference: Array, step: float, colour: bool | None = None) -> Recovery:
    """Compare what one lesion changes: with minus without it, in the truth and in the result.

    The lesion is where the truth's difference is at least half of its largest (its full width at half maximum).
    `width` and `displacement` are those of the connected part of the result above half of the result's own peak.
    The half maximum is found between pixels, by linear interpolation, for small lesions have few. `leakage` starts
    beyond every pixel that the truth changes at all and its neighbours; it grows with the window, so compare equal
    windows only.
    Channels are summed, weighted by what the lesion changes in each of them.

    Args:
        truth_difference: a window around one lesion, (h, w), (h, w, C) or (i, j, k); it holds the whole lesion.
        result_difference: the same window of the result.
        step: from one pixel or voxel to the next, in the unit of the displacement.
        colour: whether the last axis of three is colour; None: it is if its length is 1 or 3.

    Returns:
        All nan where the truth has no lesion or a value is not finite.

    Raises:
        ValueError: the windows differ in shape, or are neither images nor volumes.
    """
    truth, result = _grey(np.asarray(truth_difference, np.float64), np.asarray(result_difference, np.float64), colour)
    largest = float(np.abs(truth).max(initial=0))
    if not (largest > 0 and np.isfinite(truth).all() and np.isfinite(result).all()):
        return UNDEFINED
    sign = np.sign(truth.flat[np.abs(truth).argmax()])
    truth, result = sign * truth, sign * result
    support = np.abs(truth) >= largest / 2
    changed = binary_dilation(truth != 0, generate_binary_structure(truth.ndim, truth.ndim))
    peak = float(result[support].max()) / largest
    width = displacement = float("nan")
    if peak >= VISIBLE:
        (whole, centre), (own, place) = _above_half(truth, support), _above_half(result, support)
        width = (own / whole) ** (1 / truth.ndim)
        displacement = float(np.linalg.norm(place - centre)) * step
    return Recovery(
        peak=peak,
        integrated=float(result[support].sum() / truth[support].sum()),
        width=width,
        displacement=displacement,
        leakage=float(np.abs(result[~changed]).sum() / np.abs(truth).sum()),
    )


def _grey(truth: Values, result: Values, colour: bool | None) -> tuple[Values, Values]:
    """Both without channels: a mean over them, weighted by the sum of what the truth changes in each, with its sign."""
    if truth.shape != result.shape or truth.ndim not in (2, 3):
        raise ValueError(f"{truth.shape} and {result.shape}: not two windows of one image or volume")
    if truth.ndim == 2 or not (truth.shape[2] in COLOURS if colour is None else colour):
        return truth, result
    weights = truth.sum((0, 1))
    total = np.abs(weights).sum()
    weights = weights / total if total > 0 else np.zeros_like(weights)
    return truth @ weights, result @ weights


def _above_half(difference: Values, support: Mask) -> tuple[float, Values]:
    """Size and centroid, in pixels, of the part above half of the peak that is connected with the peak near `support`.

    The peak is climbed to from the largest value within the support: a displaced lesion may have it outside.
    """
    touching = generate_binary_structure(difference.ndim, difference.ndim)
    for _ in range(2):
        start = _largest(difference, support)
        half = difference[start] / 2
        parts, _ = label(difference >= half, touching)
        support = parts == parts[start]
    box = [
        np.arange(max(inside.min() - 1, 0), min(inside.max() + 1, length - 1) + 1 / FINER, 1 / FINER)
        for inside, length in zip(support.nonzero(), difference.shape, strict=True)
    ]
    points = np.stack(np.meshgrid(*box, indexing="ij"))
    finer = map_coordinates(difference, points, order=1, mode="nearest")
    parts, _ = label(finer >= half, touching)
    inside = parts == parts[_largest(finer, finer >= half)]
    centroid: Values = (points[:, inside] @ finer[inside]) / finer[inside].sum()
    return float(inside.sum()) / FINER**difference.ndim, centroid


def _largest(difference: Values, where: Mask) -> tuple[int, ...]:
    """The index of the largest value within a mask."""
    index = np.unravel_index(np.where(where, difference, -np.inf).argmax(), difference.shape)
    return tuple(int(i) for i in index)
