"""Keeping an image's intensities: whatever is broad in a result is made to be what it is in the input."""

from __future__ import annotations

import numpy as np

from medsr.core.resample import resize
from medsr.core.types import Array

SIGMA = 8.0
"""Low-resolution pixels: so much broader than any blur between an image and its ground truth that it need not be known.
Beside an edge of 200 grey levels, a blur of sigma 1 is taken for 0.4 grey levels of brightness (sigma 4: for 1.5)."""
RECEPTIVE_RADIUS = int(4 * SIGMA) + 2
"""Pixels of the input to each side that decide a correction: the Gaussian's, cut off at 4 SIGMA, and the bicubic's."""


def keep_intensities(result: Array, unit: Array, scale: int) -> None:
    """Correct `result`, (scale H, scale W, C), in place, so that its local means are those of `unit`, (H, W, C).

    result += U G (unit - D result): one step of back-projection (Irani and Peleg 1991) of what a Gaussian G of SIGMA
    leaves; D the mean of scale x scale pixels, U bicubic. Nothing finer than G is touched. It takes back what a network
    does to brightness and colour, which on images of another camera than its own can be many grey levels; beside a hard
    edge, what one side lacks is spread over both.
    """
    from scipy.ndimage import gaussian_filter
    from skimage.measure import block_reduce

    for c in range(unit.shape[2]):
        means = block_reduce(result[:, :, c], (scale, scale), np.mean)
        error = gaussian_filter(unit[:, :, c] - means, SIGMA, mode="reflect")
        result[:, :, c] += resize(error[:, :, None], result.shape[:2], "bicubic")[:, :, 0]
