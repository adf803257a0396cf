"""How much noise a scan holds, and how closely a result may agree with it without multiplying that noise.

To agree exactly with slices that overlap means to undo their blur, and that multiplies what the blur has weakened:
the scan's noise up to a hundred times. So agreement is eased (`slice_profile.consistent_spline`) until noise comes out
hardly stronger than it went in, or until nobody could see it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import comb, prod

import numpy as np
from numpy.typing import NDArray

from medsr.core.geometry import Shape
from medsr.core.resample import bspline_matrix
from medsr.core.types import Array
from medsr.volumes.acquisition import Acquisition

GAIN = 1.095
"""White noise never comes out more than 1.10 times as strong; the rest is for what a sample may differ by."""
SLICE_GAIN, BORDER_GAIN = 1.06, 1.55
"""How many times stronger noise may come out of the noisiest slice: the first, and the second times what the plain
B-spline adds at the border. Less than 1.10 away from the border, for a slice is a small sample."""
UNSEEN, FAINTLY_SEEN = 5e-4, 2e-3
"""Shares of the scan's range. Noise may be multiplied by more where it comes out below the first; below the second,
where the result would else differ from the scan by more than the noise."""
DISCREPANCY = 2.0
"""How many times its noise a scan may differ from what is made of it (Morozov 1966 asks for about 1)."""
EASINGS = (0.0, *(float(10**power) for power in np.arange(-12, 2.01, 0.125)))
WEAK, FAINT = 0.1, 0.4
"""What an acquisition leaves less than this of is all but lost, and weakened."""
SIDE, BLOCKS = 24, 64
"""Noise is measured in so many blocks of so many voxels a side."""


@dataclass(frozen=True)
class Noise:
    """`level`: its standard deviation. `step`: of integers, 1. Both in the unit values a network sees."""

    level: float
    step: float = 0.0

    def allowed(self, share: float) -> float:
        """How many times stronger it may come out where up to `share` of the range, or half a step, is not minded."""
        return max(GAIN, max(share, self.step / 2) / max(self.level, 1e-12))


def eased(
    acquisition: Acquisition, normalised: Array, stored: NDArray, intensity_range: float, known_noise: float | None
) -> tuple[Acquisition, Noise]:
    """The acquisition with no more easing than it takes not to multiply the noise of this scan, and that noise.

    `stored` are the scan's values, `normalised` the same over `intensity_range`; `known_noise`: what the noise is
    known to be, in stored values (0: agree exactly), or None: it is measured.
    """
    step = 1 / abs(intensity_range) if stored.dtype.kind in "iu" else 0.0
    least = float(np.finfo(np.float32).eps) * float(np.abs(normalised).max())
    if known_noise is None:
        least = max(_rounding(stored) / abs(intensity_range), least)
    level = of_scan(normalised) if known_noise is None else known_noise / abs(intensity_range)
    noise = doubtful = Noise(max(level, least), step)
    if not acquisition.refined:
        return acquisition, noise
    exact = gain(acquisition)
    if within(exact, acquisition, GAIN):  # whatever the noise
        return acquisition, noise
    if known_noise is None and (hidden := _in_what_is_lost(normalised, acquisition)) is not None:
        # More there than elsewhere is noise that was smoothed within the slices, or a profile not quite the scan's own:
        # where agreement would suffer much, the benefit of the doubt.
        doubtful = Noise(max(min(hidden, (hidden * level) ** 0.5), least), step)
        noise = Noise(max(hidden, least), step)
    low = _least(acquisition, doubtful.allowed(FAINTLY_SEEN))
    high = max(low, _least(acquisition, noise.allowed(UNSEEN)))
    thin = _thinned(normalised, acquisition)
    while low < high:  # the most easing at which the scan is still met to its noise; at least `low`
        middle = (low + high + 1) // 2
        candidate = replace(acquisition, coarse=thin[0], fine=thin[1], easing=EASINGS[middle])
        missed = candidate.explained(thin[2]) - thin[2]
        if float(np.sqrt(np.mean(missed**2, dtype=np.float64))) <= DISCREPANCY * noise.level:
            low = middle
        else:
            high = middle - 1
    return replace(acquisition, easing=EASINGS[low]), noise


def _least(acquisition: Acquisition, allowed: float) -> int:
    """Which of EASINGS is the smallest at which noise comes out as strong as is allowed."""
    low, high = 0, len(EASINGS) - 1
    while low < high:
        middle = (low + high) // 2
        candidate = replace(acquisition, easing=EASINGS[middle])
        if within(gain(candidate), candidate, allowed):
            high = middle
        else:
            low = middle + 1
    return low


def _thinned(normalised: Array, acquisition: Acquisition) -> tuple[Shape, Shape, Array]:
    """Coarse and fine shape, and the scan, with some lines left out along axes that are not refined."""
    still = [axis for axis in range(3) if axis not in acquisition.refined]
    every = max(1, round((normalised.size / 1_000_000) ** (1 / len(still)))) if still else 1
    thin = normalised[tuple(slice(None, None, every if axis in still else 1) for axis in range(3))]
    coarse: Shape = thin.shape  # type: ignore[assignment]
    i, j, k = (coarse[n] if n in still else fine for n, fine in enumerate(acquisition.fine))
    return coarse, (i, j, k), thin


def gain(acquisition: Acquisition) -> tuple[float, list[float]]:
    """How many times stronger white noise comes out: in the whole volume, and in each axis' noisiest slice."""
    means, most = [], []
    for axis in range(3):
        try:
            rows = (acquisition.operator(axis, True).astype(np.float64) ** 2).sum(axis=1)
        except np.linalg.LinAlgError:
            rows = np.array([np.inf])
        means.append(float(np.sqrt(rows.mean())))
        most.append(float(np.sqrt(rows.max())))
    whole = prod(means)
    return whole, [whole / mean * largest for mean, largest in zip(means, most, strict=True)]


def easing_of_input(acquisition: Acquisition, axis: int) -> float:
    """The easing with which a network sees an axis: none where that axis alone does not multiply noise.

    So it sees what it was trained on; what several such axes multiply together, back-projection takes out again.
    """
    alone = replace(acquisition, easing=0.0)
    try:
        rows = (alone.operator(axis, True).astype(np.float64) ** 2).sum(axis=1)
    except np.linalg.LinAlgError:
        return acquisition.easing
    return 0.0 if rows.mean() <= GAIN**2 else acquisition.easing


def input_operators(acquisition: Acquisition) -> list[Array]:
    """For each axis: coarse to fine, as a network is to see it before back-projection."""
    easings = [easing_of_input(acquisition, axis) for axis in range(3)]
    return [replace(acquisition, easing=easing).operator(axis, True) for axis, easing in enumerate(easings)]


def within(gains: tuple[float, list[float]], acquisition: Acquisition, allowed: float) -> bool:
    """Whether a gain is allowed: whole, and slice by slice along the axes that are refined."""
    whole, slices = gains
    if not whole <= allowed:
        return False
    for axis in acquisition.refined:
        plain = bspline_matrix(acquisition.coarse[axis], acquisition.fine[axis])
        border = float(np.sqrt((plain**2).sum(axis=1).max()))
        if not slices[axis] <= allowed / GAIN * (SLICE_GAIN + BORDER_GAIN * max(0.0, border - 1)):
            return False
    return True


def of_scan(normalised: Array) -> float:
    """The standard deviation of a scan's noise, by the median of what varies from voxel to voxel along every axis.

    What is smooth, or varies along one axis alone, is not in it, and edges are too few to move a median. What is
    constant (a background of zeros) is left out.
    """
    corners = [(i, j, k) for i, j, k in np.ndindex(*(-(-n // SIDE) for n in normalised.shape))]
    sample_indices = np.unique(np.linspace(0, len(corners) - 1, min(BLOCKS, len(corners))).round().astype(int))
    differences = []
    for index in sample_indices:
        block = normalised[tuple(slice(SIDE * corner, SIDE * (corner + 1)) for corner in corners[index])]
        values = block.astype(np.float64)
        for axis, length in enumerate(block.shape):
            order = min(6, (length - 1) // 2)
            values = np.diff(values, order, axis=axis) / comb(2 * order, order) ** 0.5
        differences.append(np.abs(values[values != 0]))
    sizes = np.concatenate(differences)
    return float(np.median(sizes)) / 0.6745 if len(sizes) > 20 else 0.0


def _rounding(stored: NDArray) -> float:
    """What rounding to whole numbers adds, in a scan of integers or of floating-point numbers that hold them."""
    if stored.dtype.kind in "iu":
        return 12**-0.5
    sample = stored.ravel(order="K")[:: max(1, stored.size // 100_000)]
    whole = np.array_equal(sample, np.rint(sample)) and len(np.unique(sample)) > 32
    return 12**-0.5 if whole else float(np.finfo(stored.dtype).eps * np.abs(sample).max())


def _in_what_is_lost(normalised: Array, acquisition: Acquisition) -> float | None:
    """The noise in what the acquisition cannot have seen; None where it sees enough of everything.

    There is little else there. Slices that are thinner than the header says show there too.
    """
    estimates = [_along(normalised, acquisition, axis) for axis in acquisition.refined]
    levels = [level for level in estimates if level is not None]
    return max(levels) if levels else None


def _along(normalised: Array, acquisition: Acquisition, axis: int) -> float | None:
    acquisition_matrix = acquisition.operator(axis, False).astype(np.float64)
    left_vectors, sizes, _ = np.linalg.svd(
        acquisition_matrix @ bspline_matrix(acquisition.coarse[axis], acquisition.fine[axis])
    )
    if sizes[-1] >= WEAK:
        return None
    lines = np.moveaxis(normalised, axis, 0).reshape(len(sizes), -1)
    lines = lines[:, :: max(1, lines.shape[1] // 20_000)]
    lines = lines[:, np.ptp(lines, axis=0) > 0]
    if not lines.shape[1]:
        return 0.0
    parts = left_vectors[:, sizes < FAINT].T @ (lines - lines.mean(axis=0)).astype(np.float64)
    power, sizes = (parts**2).mean(axis=1), sizes[sizes < FAINT]
    # What belongs to the object was weakened as much as the acquisition says; noise was not.
    stronger = sizes >= WEAK
    of_object = float(np.median(power[stronger] / sizes[stronger] ** 2)) if stronger.any() else 0.0
    lost = ~stronger
    weakest = np.argsort(sizes[lost])[:3]
    rest = (power[lost] - 2 * sizes[lost] ** 2 * of_object)[weakest]
    return float(max(0.0, rest.mean())) ** 0.5
