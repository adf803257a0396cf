"""PSNR and SSIM, from scikit-image."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def psnr(result: NDArray[np.float32], ground_truth: NDArray[np.float32]) -> float:
    """Peak signal-to-noise ratio in dB over all channels; both (H, W, C) in [0, 1], the result clipped to it."""
    from skimage.metrics import peak_signal_noise_ratio

    return float(peak_signal_noise_ratio(ground_truth, result.clip(0, 1), data_range=1.0))


def ssim(result: NDArray[np.float32], ground_truth: NDArray[np.float32]) -> float:
    """Structural similarity, mean over channels, as in Wang et al. 2004: Gaussian window of sigma 1.5, K 0.01, 0.03."""
    from skimage.metrics import structural_similarity

    return float(
        structural_similarity(
            ground_truth,
            result.clip(0, 1),
            data_range=1.0,
            channel_axis=2,
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
        )
    )


def eight_bit(unit: NDArray[np.float32]) -> NDArray[np.float32]:
    """What an 8-bit file would hold, still in [0, 1]: measures what the user gets to see."""
    return np.rint(unit.clip(0, 1) * 255).astype(np.float32) / 255
