"""Pieces of images that the ranges of int8 are taken from."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from medsr.core.types import Array
from medsr.images.reflected import PRE_PAD

if TYPE_CHECKING:
    from medsr.training.validation import ValidationSample

CROP = 96
"""Side of a piece, in low-resolution pixels."""
GAIN = 0.5, 1.3
"""How much darker or brighter another camera's channel may be."""


def calibration_crops(pairs: list[ValidationSample], image: int, count: int) -> list[Array]:
    """`count` (1, C, CROP, CROP) pieces of the low resolution, drawn with a fixed seed, in turn from every image.

    A third is stretched to full contrast: a bright vessel, a lead marker in an image to come must not lie beyond the
    ranges seen here, where int8 cuts off. A third has another camera's colours. A third ends as an image does for a
    network: reflected, which makes a line at the border twice as sharp.
    """
    rng = np.random.default_rng(0)
    crops = []
    for index in range(count):
        low = pairs[index % len(pairs)].low_resolution
        side = [min(CROP, length - length % 4) for length in low.shape[:2]]
        y, x = (int(rng.integers(0, low.shape[n] - side[n] + 1)) for n in range(2))
        piece = low[y : y + side[0], x : x + side[1]]
        if index % 3 == 1:
            piece = _stretched(piece, image)
        elif index % 3 == 2:
            piece = _recoloured(piece, image, rng)
        elif min(side) > 2 * PRE_PAD:
            piece = _at_the_border(piece)
        crops.append(np.ascontiguousarray(piece.transpose(2, 0, 1)[None]))
    return crops


def _at_the_border(piece: Array) -> Array:
    """With its last rows and columns reflected."""
    inside = piece[:-PRE_PAD, :-PRE_PAD]
    return np.pad(inside, ((0, PRE_PAD), (0, PRE_PAD), (0, 0)), "reflect")


def _recoloured(piece: Array, image: int, rng: np.random.Generator) -> Array:
    """With the first `image` channels in another order, each brighter or darker."""
    result = piece.copy()
    gains = rng.uniform(*GAIN, image).astype(np.float32)
    result[:, :, :image] = np.clip(piece[:, :, rng.permutation(image)] * gains, 0, 1)
    return result


def _stretched(piece: Array, image: int) -> Array:
    """With the first `image` channels from 0 to 1; the others are a refiner's maps."""
    result = piece.copy()
    values = result[:, :, :image]
    low, high = float(values.min()), float(values.max())
    values -= low
    values /= max(high - low, 1e-3)
    return result
