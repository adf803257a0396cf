"""The papers' fixed ways from ground truth to low resolution, for validation, benchmarks and tests."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import affine_transform, gaussian_filter

from medsr.core.resample import resize
from medsr.core.types import Array

UNKNOWN_SIGMAS = (1.9, 0.9)
"""Of the unknown track's blur, along and across its axis, in pixels of the ground truth at factor 2."""
UNKNOWN_DEGREES = 35.0
UNKNOWN_SHIFT = (0.6, -0.4)
"""Rows and columns, in pixels of the ground truth at factor 2."""


def bicubic_then_blur(ground_truth: Array, scale: int, blur_sigma: float) -> Array:
    """P1: bicubic (antialiased) down by `scale`, then Gaussian blur of `blur_sigma` low-resolution pixels, then 8 bits.

    `ground_truth`: (H, W, C) in [0, 1], H and W multiples of `scale`. Returns (H/scale, W/scale, C) in [0, 1].
    """
    _check(ground_truth, scale)
    height, width = ground_truth.shape[:2]
    low = resize(ground_truth, (height // scale, width // scale), "bicubic").clip(0, 1)
    if blur_sigma > 0:
        low = gaussian_filter(low, (blur_sigma, blur_sigma, 0), mode="reflect")
    return np.rint(low * 255).astype(np.float32) / 255


def unknown(ground_truth: Array, scale: int) -> Array:
    """P3's "unknown" track: a fixed blur and shift the model is not told of, then every `scale`-th pixel, 8 bits.

    DIV2K's own operators were never published; this one is a Gaussian of sigma 1.9 x 0.9 pixels turned by 35 degrees
    and a shift of (0.6, -0.4) pixels, both times scale / 2. Returns (H/scale, W/scale, C) in [0, 1].
    """
    _check(ground_truth, scale)
    by = scale / 2
    kernel = _turned_gaussian(UNKNOWN_SIGMAS[0] * by, UNKNOWN_SIGMAS[1] * by, UNKNOWN_DEGREES)
    planes = [_blurred(ground_truth[:, :, c], kernel) for c in range(ground_truth.shape[2])]
    centre = (scale - 1) / 2  # the middle of the pixels that become one
    offset = [centre + UNKNOWN_SHIFT[0] * by, centre + UNKNOWN_SHIFT[1] * by]
    size = (ground_truth.shape[0] // scale, ground_truth.shape[1] // scale)
    low = [affine_transform(plane, [scale, scale], offset, size, order=1, mode="nearest") for plane in planes]
    return np.rint(np.stack(low, axis=2).clip(0, 1) * 255).astype(np.float32) / 255


def crop_to_multiple(image: NDArray, multiple: int) -> NDArray:
    """Cut the right and lower border so that height and width are multiples."""
    height, width = image.shape[:2]
    return image[: height - height % multiple, : width - width % multiple]


def _check(ground_truth: Array, scale: int) -> None:
    height, width = ground_truth.shape[:2]
    if height % scale or width % scale:
        raise ValueError(f"{height}x{width} is not a multiple of {scale}")


def _turned_gaussian(along: float, across: float, degrees: float) -> NDArray[np.float64]:
    radius = int(np.ceil(3 * along))
    y, x = np.mgrid[-radius : radius + 1, -radius : radius + 1]
    angle = np.deg2rad(degrees)
    u, v = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
    kernel: NDArray[np.float64] = np.exp(-0.5 * ((u / along) ** 2 + (v / across) ** 2))
    return kernel / kernel.sum()


def _blurred(plane: Array, kernel: NDArray) -> Array:
    from scipy.signal import fftconvolve

    radius = kernel.shape[0] // 2
    return np.asarray(fftconvolve(np.pad(plane, radius, "symmetric"), kernel, "valid"), np.float32)
