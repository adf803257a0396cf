"""Blur of a batch by a kernel an image, and the unsharp masking of Real-ESRGAN's targets."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional


def blur(images: Tensor, kernels: Tensor) -> Tensor:
    """Correlate (B, C, H, W) with (B, k, k) kernels, one an image, or (1, k, k), one for all; k odd.

    The border is mirrored at the outermost pixels, so sides must be above k // 2.
    """
    batch, channels, height, width = images.shape
    side = kernels.shape[-1]
    padded = functional.pad(images, [side // 2] * 4, mode="reflect")
    if len(kernels) == 1:
        planes = padded.reshape(batch * channels, 1, *padded.shape[-2:])
        return functional.conv2d(planes, kernels[:, None]).reshape(images.shape)
    planes = padded.reshape(1, batch * channels, *padded.shape[-2:])
    weight = kernels[:, None].repeat_interleave(channels, 0)
    return functional.conv2d(planes, weight, groups=batch * channels).reshape(batch, channels, height, width)


class UnsharpMask(nn.Module):
    """Sharpen (B, C, H, W) in [0, 1] where the image is not flat, as Real-ESRGAN does to its targets.

    What a wide Gaussian takes away is added by half, where it is above 10 of 255; that mask is blurred, too.
    """

    SIDE, AMOUNT, THRESHOLD = 51, 0.5, 10
    SIGMA = 8.0
    """Pixels; what OpenCV takes for 51 taps where nobody says a sigma: 0.3 (51 / 2 - 1.5) + 0.8."""

    kernel: Tensor

    def __init__(self) -> None:
        super().__init__()
        ahead = np.arange(self.SIDE) - self.SIDE // 2
        profile = np.exp(-(ahead**2) / (2 * self.SIGMA**2))
        profile /= profile.sum()
        self.register_buffer("kernel", torch.from_numpy(np.outer(profile, profile)[None]).float())

    def forward(self, images: Tensor) -> Tensor:
        residual = images - blur(images, self.kernel)
        mask = (residual.abs() * 255 > self.THRESHOLD).float()
        soft = blur(mask, self.kernel)
        sharp = (images + self.AMOUNT * residual).clamp(0, 1)
        return soft * sharp + (1 - soft) * images
