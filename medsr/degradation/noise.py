"""Noise of a batch of colour images, grey or a colour's own (Wang et al. 2021). Draws from torch's global stream."""

from __future__ import annotations

import torch
from torch import Tensor

LUMA = (0.2989, 0.587, 0.114)
"""Of red, green and blue (ITU-R BT.601)."""


def gaussian(images: Tensor, sigma: Tensor, grey: Tensor) -> Tensor:
    """What Gaussian noise adds to (B, 3, H, W) in [0, 1].

    Args:
        images: The batch.
        sigma: (B,) standard deviations, of 255.
        grey: (B,) 1 where all colours get the same noise, 0 where each has its own.
    """
    strength, is_grey = (values.view(-1, 1, 1, 1) for values in (sigma, grey))
    shared: Tensor | float = 0.0
    if is_grey.sum() > 0:
        height_width = images.shape[-2:]
        shared = torch.randn(*height_width, dtype=images.dtype, device=images.device) * strength / 255
    own = torch.randn(*images.shape, dtype=images.dtype, device=images.device) * strength / 255
    return _chosen(own, shared, is_grey)


def poisson(images: Tensor, scale: Tensor, grey: Tensor) -> Tensor:
    """What photon noise adds to (B, 3, H, W) in [0, 1].

    An image's brightest pixel counts as many photons as the image has levels, rounded up to a power of 2.

    Args:
        images: The batch.
        scale: (B,) times how much of it.
        grey: (B,) 1 where all colours get the noise of their luma, 0 where each has its own.
    """
    strength, is_grey = (values.view(-1, 1, 1, 1) for values in (scale, grey))
    shared: Tensor | float = 0.0
    if is_grey.sum() > 0:
        red, green, blue = images.split(1, 1)
        shared = _photons(LUMA[0] * red + LUMA[1] * green + LUMA[2] * blue)
    return _chosen(_photons(images), shared, is_grey) * strength


def _photons(images: Tensor) -> Tensor:
    images = (images * 255).round().clamp(0, 255) / 255
    levels = torch.tensor([len(torch.unique(image)) for image in images], dtype=images.dtype, device=images.device)
    counts = (2 ** levels.log2().ceil()).view(-1, 1, 1, 1)
    return torch.poisson(images * counts) / counts - images


def _chosen(own: Tensor, shared: Tensor | float, is_grey: Tensor) -> Tensor:
    return own * (1 - is_grey) + shared * is_grey
