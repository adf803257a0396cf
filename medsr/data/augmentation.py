"""Augmentation of training crops: flips, quarter turns, jitter of intensities, random contrast, zoom and noise."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from medsr.core.resample import bspline_matrix
from medsr.core.types import Array
from medsr.degradation.slice_profile import matrix
from medsr.recipe import Jitter


def flip_rotate(crop: NDArray[np.float32], flips: bool | float, rng: np.random.Generator) -> NDArray[np.float32]:
    """(H, W, C) as the recipe's `data.flips` says; a view."""
    if flips is True:
        crop = np.rot90(crop, int(rng.integers(4)))
        return crop[:, ::-1] if rng.random() < 0.5 else crop
    upside_down, mirrored, quarter = rng.random(3) < float(flips)
    crop = crop[::-1] if upside_down else crop
    crop = crop[:, ::-1] if mirrored else crop
    return np.rot90(crop) if quarter else crop


def intensity_jitter(crop: NDArray[np.float32], jitter: Jitter, rng: np.random.Generator) -> NDArray[np.float32]:
    """(H, W, C) in [0, 1] with a gain (half of it common to all channels) and an offset drawn for every channel."""
    channels = crop.shape[2]
    common, per_channel = rng.uniform(*jitter.gain), rng.uniform(*jitter.gain, channels)
    gain = np.sqrt(common * per_channel)
    offset = rng.uniform(*jitter.offset, channels)
    if jitter.shuffle_channels:
        crop = crop[:, :, rng.permutation(channels)]
    changed: NDArray[np.float32] = (crop * gain + offset).clip(0, 1).astype(np.float32)
    return changed


def random_contrast(crop: Array, jitter: Jitter, rng: np.random.Generator) -> Array:
    """(H, W) in about [0, 1] with another contrast, gain, offset and noise. Nothing is clipped.

    The contrast is a random broken line through 4 to 8 points over the range of values: it need not rise, so that a
    T1-weighted slice may come out with the contrasts of a T2-weighted one, or of none there is.
    """
    if rng.random() < jitter.contrast:
        knots = np.linspace(0.0, 1.1, int(rng.integers(4, 9)))
        crop = np.interp(crop, knots, rng.random(len(knots))).astype(np.float32)
    changed: Array = (crop * rng.uniform(*jitter.gain) + rng.uniform(*jitter.offset)).astype(np.float32)
    if jitter.noise[1] > 0:
        changed += rng.standard_normal(crop.shape, np.float32) * np.float32(rng.uniform(*jitter.noise))
    return changed


def random_zoom(crop: Array, side: int) -> Array:
    """(H, W) to (side, side): finer by interpolating cubic B-spline, coarser by averaging, each axis by itself."""
    if crop.shape == (side, side):
        return crop
    rows, columns = (bspline_matrix(length, side) if length < side else matrix(length, side) for length in crop.shape)
    resized: Array = (rows @ crop @ columns.T).astype(np.float32)
    return resized
