"""MATLAB's imresize: the bicubic resampling of the published tables."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from medsr.core.types import Array

SUPPORT = 4
"""Pixels that Keys' cubic reaches over."""


def bicubic(image: Array, size: tuple[int, int]) -> Array:
    """(H, W, C) to `size` as MATLAB's imresize does: antialiased bicubic, borders mirrored, values not clipped.

    Raises ValueError where the two axes have different factors.
    """
    height, width = image.shape[:2]
    if size[0] / height != size[1] / width:
        raise ValueError(f"one factor for both axes: {height}x{width} to {size[0]}x{size[1]}")
    factor = size[0] / height
    rows, columns = _weights(height, size[0], factor), _weights(width, size[1], factor)
    resized = np.einsum("yh,hwc->ywc", rows, image.astype(np.float64), optimize=True)
    return np.einsum("xw,ywc->yxc", columns, resized, optimize=True).astype(np.float32)


def _weights(before: int, after: int, factor: float) -> NDArray[np.float64]:
    """(after, before): what every new pixel takes of the old ones."""
    reduced = min(factor, 1.0)  # reductions widen the kernel: what the new grid cannot hold is filtered out
    centres = (np.arange(after) + 0.5) / factor - 0.5
    taps = math.ceil(SUPPORT / reduced) + 2
    places = np.floor(centres - SUPPORT / reduced / 2)[:, None] + np.arange(taps)
    weights = _cubic((centres[:, None] - places) * reduced)
    weights /= weights.sum(1, keepdims=True)
    mirrored = np.mod(places.astype(int), 2 * before)
    mirrored = np.where(mirrored >= before, 2 * before - 1 - mirrored, mirrored)
    matrix = np.zeros((after, before))
    np.add.at(matrix, (np.arange(after)[:, None], mirrored), weights)
    return matrix


def _cubic(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Keys' cubic convolution kernel, a = -0.5."""
    x = np.abs(x)
    near, far = 1.5 * x**3 - 2.5 * x**2 + 1, -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2
    return np.where(x <= 1, near, np.where(x <= 2, far, 0.0))
