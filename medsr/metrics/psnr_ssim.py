"""Full-reference metrics for images and volumes; every one over a whole image or the part of it a mask shows."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from medsr.core.types import Array

Mask = NDArray[np.bool_]
IDENTICAL = 100.0
"""PSNR in dB where nothing differs: so that one perfect image does not make a mean infinite."""
DIGITS = 255.0


def mse(result: Array, ground_truth: Array, where: Mask | None = None) -> float:
    """Mean squared error in grey levels of 8 bits, squared.

    Both of the same shape, channels last, full range [0, 1]; `where`: their shape without channels. Nothing is clipped.
    """
    difference = (result - ground_truth).astype(np.float64) * DIGITS
    return float(np.mean((difference if where is None else difference[where]) ** 2))


def psnr(result: Array, ground_truth: Array, where: Mask | None = None) -> float:
    """Peak signal-to-noise ratio in dB over all channels, as `mse`; at most 100, where nothing differs."""
    error = mse(result, ground_truth, where)
    return IDENTICAL if error == 0 else min(IDENTICAL, float(10 * np.log10(DIGITS**2 / error)))


def ssim(result: Array, ground_truth: Array, where: Mask | None = None) -> float:
    """Structural similarity, mean over channels, as in Wang et al. 2004: Gaussian window of sigma 1.5, K 0.01, 0.03.

    The window of 11 pixels lies within the image wherever it is counted, as in the authors' program; with `where`, its
    centre lies in the mask and what lies beyond the border is mirrored. Raises ValueError for images below 11 pixels.
    """
    from skimage.metrics import structural_similarity

    mean, similarity = structural_similarity(
        ground_truth,
        result,
        data_range=1.0,
        channel_axis=-1,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
        full=True,
    )
    return float(mean if where is None else similarity[where].mean())


def sharpness(unit: Array) -> float:
    """How sharp an (H, W, C) image looks without a reference: 1 minus the blur of Crete et al. 2007, from 0 to 1.

    Noise counts as sharp, so it says nothing of fidelity.
    """
    from skimage.measure import blur_effect

    return 1.0 - float(blur_effect(unit.clip(0, 1).mean(axis=2)))


def eight_bit(unit: Array) -> Array:
    """What an 8-bit file would hold, still in [0, 1]: measures what the user gets to see."""
    return np.rint(unit.clip(0, 1) * DIGITS).astype(np.float32) / np.float32(DIGITS)


def luma(unit: Array) -> Array:
    """(H, W, 3) to (H, W, 1): Y of ITU-R BT.601 from 16 to 235, in 8 bits, as MATLAB's rgb2ycbcr; grey stays grey."""
    if unit.shape[-1] == 1:
        return eight_bit(unit)
    from skimage.color import rgb2ycbcr

    return np.asarray(np.rint(rgb2ycbcr(unit.clip(0, 1))[..., :1]) / DIGITS, np.float32)
