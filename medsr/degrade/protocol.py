"""The papers' fixed low-resolution protocol, for validation and tests (P1)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from medsr.resample import resize


def bicubic_then_blur(ground_truth: NDArray[np.float32], scale: int, blur_sigma: float) -> NDArray[np.float32]:
    """P1: bicubic (antialiased) down by `scale`, then Gaussian blur of `blur_sigma` low-resolution pixels, then 8 bits.

    `ground_truth`: (H, W, C) in [0, 1], H and W multiples of `scale`. Returns (H/scale, W/scale, C) in [0, 1].
    """
    height, width = ground_truth.shape[:2]
    if height % scale or width % scale:
        raise ValueError(f"{height}x{width} is not a multiple of {scale}")
    low = resize(ground_truth, (height // scale, width // scale), "bicubic").clip(0, 1)
    if blur_sigma > 0:
        low = gaussian_filter(low, (blur_sigma, blur_sigma, 0), mode="reflect")
    return np.rint(low * 255).astype(np.float32) / 255


def crop_to_multiple(image: NDArray, multiple: int) -> NDArray:
    """Cut the right and lower border so that height and width are multiples."""
    height, width = image.shape[:2]
    return image[: height - height % multiple, : width - width % multiple]
