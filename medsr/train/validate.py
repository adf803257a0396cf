"""Validation on held-out images, beside bicubic."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from medsr.data.datasets import as_channels
from medsr.degrade.protocol import bicubic_then_blur, crop_to_multiple
from medsr.evaluate import metrics
from medsr.infer.image import Interpolation, Model
from medsr.intensity import Window
from medsr.io import image as image_io

Array = NDArray[np.float32]


@dataclass(frozen=True)
class HeldOut:
    """A held-out image: its ground truth and the low resolution the protocol makes of it, (H, W, C) in [0, 1]."""

    name: str
    ground_truth: Array
    low_resolution: Array


@dataclass(frozen=True)
class Scores:
    """Mean PSNR (dB) and SSIM of some model over the held-out images, all channels, 8-bit output."""

    psnr: float
    ssim: float


def prepare(paths: tuple[Path, ...], scale: int, channels: int, blur_sigma: float) -> list[HeldOut]:
    """Read the held-out images and make their low resolution (bicubic down by `scale`, then Gaussian blur)."""
    held_out = []
    for path in paths:
        ground_truth = crop_to_multiple(as_channels(image_io.read(path).to_unit(), channels), 2 * scale)
        held_out.append(HeldOut(path.name, ground_truth, bicubic_then_blur(ground_truth, scale, blur_sigma)))
    return held_out


def score(model: Model, held_out: list[HeldOut], scale: int) -> Scores:
    """Mean scores of `model` over the held-out images."""
    results = [metrics.eight_bit(model(one.low_resolution, scale)) for one in held_out]
    pairs = list(zip(results, held_out, strict=True))
    return Scores(
        float(np.mean([metrics.psnr(result, one.ground_truth) for result, one in pairs])),
        float(np.mean([metrics.ssim(result, one.ground_truth) for result, one in pairs])),
    )


def bicubic_scores(held_out: list[HeldOut], scale: int) -> Scores:
    """The baseline."""
    return score(Interpolation("bicubic"), held_out, scale)


def sample_sheet(model: Model, one: HeldOut, scale: int, side: int = 256) -> image_io.Image:
    """Bicubic, model and ground truth side by side: the middle of a held-out image, as an 8-bit image."""
    parts = [Interpolation("bicubic")(one.low_resolution, scale), model(one.low_resolution, scale), one.ground_truth]
    height, width = one.ground_truth.shape[:2]
    top, left = max(0, (height - side) // 2), max(0, (width - side) // 2)
    sheet = np.concatenate([part[top : top + side, left : left + side] for part in parts], axis=1)
    pixels = np.rint(sheet.clip(0, 1) * 255).astype(np.uint8)
    return image_io.Image(pixels, Window.of_bits(8), image_io.PNG)
