"""How sharp an image is already, by the energy of its finest detail."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from medsr.core.types import Array
from medsr.images.reflected import Rows

EDGES = (0.12, 0.18, 0.32, 0.4, 0.5)
"""Between bands, in cycles per pixel: coarse detail, what lies between, fine detail, the finest."""
SIDE, SMALLEST = 128, 48
"""Pixels of a block, and of an image whose sharpness can be told."""
MOST = 256
"""Blocks that are looked at."""
FLOOR = 1e-9
"""Of energy: far below the 2e-7 that rounding to 8 bits leaves."""


def sharpness(unit: Rows, shape: tuple[int, ...]) -> tuple[float, float] | None:
    """Two numbers of an image of `shape`, (H, W, C), whose rows `unit` gives in [0, 1]; None of a very small one.

    The first: the logarithm of how strong fine detail is beside coarse detail. Blur takes it down. The second: the
    logarithm of the finest detail's energy, which noise holds up. Of overlapping blocks the half that holds the most
    detail counts, by its median: so a background counts for nothing, and a single bright border for little.
    """
    height, width = shape[:2]
    if min(height, width) < SMALLEST:
        return None
    sides = min(SIDE, height), min(SIDE, width)
    step = max(1, int(np.ceil(np.sqrt(height * width / (MOST * SIDE**2 / 4)))))
    energies = []
    for top in _starts(height, sides[0], step):
        rows = unit(slice(top, top + sides[0])).mean(axis=2)
        energies += [_energies(rows[:, left : left + sides[1]]) for left in _starts(width, sides[1], step)]
    coarse, between, fine, finest = np.log(np.array(energies) + FLOOR).T
    detail = coarse + between
    busy = detail >= np.median(detail)
    return float(np.median((fine - coarse)[busy])), float(np.median(finest[busy]))


def _starts(length: int, side: int, step: int) -> NDArray[np.intp]:
    """Where blocks begin along an axis: half a block apart, or `step` times as far, from border to border."""
    count = 1 + -(-(length - side) // (side // 2 * step))
    return np.linspace(0, length - side, count).astype(np.intp)


def _energies(block: Array) -> NDArray[np.float64]:
    """Mean energy of one block in each band."""
    height, width = block.shape
    window = np.outer(np.hanning(height), np.hanning(width))
    power = np.abs(np.fft.rfft2((block - block.mean()) * window)) ** 2 / (height * width)
    radius = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None])
    band = np.digitize(radius, EDGES)
    sums = np.bincount(band.ravel(), power.ravel(), len(EDGES) + 1)
    counts = np.bincount(band.ravel(), minlength=len(EDGES) + 1)
    means: NDArray[np.float64] = sums[1:-1] / counts[1:-1]
    return means
