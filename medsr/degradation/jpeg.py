"""What baseline JPEG compression does to colour images (ITU-T T.81, JFIF), in torch: a batch at once, on any device."""

from __future__ import annotations

from functools import cache

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

BLOCK = 8
FINEST = 1e-6
"""Least factor of the tables: that of quality 100 is 0, and nothing can be divided by it."""
_LUMA = (
    (16, 11, 10, 16, 24, 40, 51, 61),
    (12, 12, 14, 19, 26, 58, 60, 55),
    (14, 13, 16, 24, 40, 57, 69, 56),
    (14, 17, 22, 29, 51, 87, 80, 62),
    (18, 22, 37, 56, 68, 109, 103, 77),
    (24, 35, 55, 64, 81, 104, 113, 92),
    (49, 64, 78, 87, 103, 121, 120, 101),
    (72, 92, 95, 98, 112, 100, 103, 99),
)
"""T.81, table K.1: rows are vertical frequencies."""
_CHROMA = (
    (17, 18, 24, 47, 99, 99, 99, 99),
    (18, 21, 26, 66, 99, 99, 99, 99),
    (24, 26, 56, 99, 99, 99, 99, 99),
    (47, 66, 99, 99, 99, 99, 99, 99),
    *((99,) * 8,) * 4,
)
"""T.81, table K.2."""
_TO_YCC = ((0.299, 0.587, 0.114), (-0.168736, -0.331264, 0.5), (0.5, -0.418688, -0.081312))
_TO_RGB = ((1.0, 0.0, 1.402), (1.0, -0.344136, -0.714136), (1.0, 1.772, 0.0))
"""JFIF, section 7."""


def jpeg(images: Tensor, quality: Tensor) -> Tensor:
    """Compress (B, 3, H, W) in [0, 1] and open the result: 4:2:0, the standard's tables scaled by (B,) `quality`.

    Quality 1 to 100, as libjpeg counts; fractions count, too, and the tables are not rounded. The colours that come
    back are not rounded either.
    """
    height, width = images.shape[-2:]
    padded = functional.pad(images, (0, -width % (2 * BLOCK), 0, -height % (2 * BLOCK))) * 255
    shift = padded.new_tensor([0.0, 128.0, 128.0])
    ycc = padded.permute(0, 2, 3, 1) @ padded.new_tensor(_TO_YCC).T + shift
    factor = torch.where(quality < 50, 5000 / quality, 200 - quality * 2) / 100
    factor = factor.clamp_min(FINEST)
    luma, chroma = ycc[..., 0], functional.avg_pool2d(ycc[..., 1:].permute(0, 3, 1, 2), 2)
    # Real-ESRGAN's program has this table with rows and columns exchanged; so do the networks trained with it.
    luma = _quantized(luma, padded.new_tensor(_LUMA).T, factor)
    planes = [_quantized(plane, padded.new_tensor(_CHROMA), factor) for plane in chroma.unbind(1)]
    planes = [plane.repeat_interleave(2, 1).repeat_interleave(2, 2) for plane in planes]
    rgb = (torch.stack([luma, *planes], 3) - shift) @ padded.new_tensor(_TO_RGB).T
    return rgb.permute(0, 3, 1, 2).clamp(0, 255)[..., :height, :width] / 255


def _quantized(planes: Tensor, table: Tensor, factor: Tensor) -> Tensor:
    """(B, H, W) in [0, 255] through the cosine transform, rounded there."""
    batch, height, width = planes.shape
    cosines, norms = (torch.from_numpy(array).to(planes) for array in _cosines())
    steps = (table * factor[:, None, None])[:, None]
    blocks = planes.reshape(batch, height // BLOCK, BLOCK, width // BLOCK, BLOCK).transpose(2, 3)
    blocks = blocks.reshape(batch, -1, BLOCK * BLOCK)
    coefficients = (blocks - 128) @ cosines
    coefficients = (norms * 0.25 * coefficients.reshape(batch, -1, BLOCK, BLOCK) / steps).round() * steps
    blocks = 0.25 * ((coefficients * norms).reshape(batch, -1, BLOCK * BLOCK) @ cosines.T) + 128
    blocks = blocks.reshape(batch, height // BLOCK, width // BLOCK, BLOCK, BLOCK)
    return blocks.transpose(2, 3).reshape(batch, height, width)


@cache
def _cosines() -> tuple[np.ndarray, np.ndarray]:
    """(64, 64): a block's pixels to its coefficients; (8, 8): what makes the transform orthogonal, times 4."""
    place = np.arange(BLOCK)
    wave = np.cos((2 * place[:, None] + 1) * place[None] * np.pi / (2 * BLOCK))  # pixel, frequency
    cosines = np.einsum("xu,yv->xyuv", wave, wave).reshape(BLOCK * BLOCK, BLOCK * BLOCK)
    norm = np.where(place == 0, 1 / np.sqrt(2), 1.0)
    return cosines.astype(np.float32), np.outer(norm, norm).astype(np.float32)
