"""Keeping an image's intensities: whatever is broad in a result is made to be what it is in the input."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]
SIGMA = 8.0
"""Low-resolution pixels: so much broader than any blur between an image and its ground truth that it need not be known.
Beside an edge of 200 grey levels, a blur of sigma 1 is taken for 0.4 grey levels of brightness (sigma 4: for 1.5)."""


def keep_intensities(result: Array, unit: Array, scale: int) -> None:
    """Correct `result`, (scale H, scale W, C), in place, so that its local means are those of `unit`, (H, W, C).

    result += U G (unit - D result): one step of back-projection (Irani and Peleg 1991) of what a Gaussian G of SIGMA
    leaves; D the mean of scale x scale pixels, U bilinear.
    Nothing finer than G is touched. It takes back what a network does to brightness and colour, which on images of
    another camera than its own can be many grey levels.
    """
    from scipy.ndimage import gaussian_filter

    for c in range(unit.shape[2]):
        made = result[:, :, c]
        means = sum(made[p::scale, q::scale] for p in range(scale) for q in range(scale)) / np.float32(scale**2)
        error = np.pad(gaussian_filter(unit[:, :, c] - means, SIGMA, mode="reflect"), 1, "edge")
        for p in range(scale):
            rows = _between(error, p, scale)
            for q in range(scale):
                made[p::scale, q::scale] += _between(rows.T, q, scale).T


def _between(padded: Array, phase: int, scale: int) -> Array:
    """Along the first axis, padded by one at either end: values at `phase` of `scale` in every pixel, by lines."""
    offset = (phase + 0.5) / scale - 0.5
    here, beside = padded[1:-1], padded[2:] if offset > 0 else padded[:-2]
    return here + np.float32(abs(offset)) * (beside - here)
