"""Validation on held-out images or volumes, beside plain interpolation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from medsr.data import volumes
from medsr.data.datasets import as_channels
from medsr.degrade.protocol import bicubic_then_blur, crop_to_multiple
from medsr.degrade.slice_profile import consistent_spline, matrix
from medsr.degrade.thick_slices import factor_maps
from medsr.infer.image import Interpolation
from medsr.intensity import Window
from medsr.io import image as image_io
from medsr.measure import metrics
from medsr.recipe import Recipe, SliceProfile
from medsr.resample import bspline_matrix

Array = NDArray[np.float32]
Predict = Callable[[Array, float], Array]
EVERY = 8
"""Of a held-out volume's slices, one in so many is validated."""


@dataclass(frozen=True)
class HeldOut:
    """A held-out image: its ground truth, the low resolution the protocol makes of it, and that interpolated.

    All (H, W, C) in [0, 1]. For slices of volumes the low resolution is what a refiner takes.
    """

    name: str
    ground_truth: Array
    low_resolution: Array
    interpolated: Array


@dataclass(frozen=True)
class Scores:
    """Mean PSNR (dB) and SSIM of some model over the held-out images, all channels, 8-bit output."""

    psnr: float
    ssim: float


def prepare(paths: tuple[Path, ...], recipe: Recipe) -> list[HeldOut]:
    """Read the held-out files and make their low resolution as the recipe's protocol says."""
    if isinstance(recipe.degradation, SliceProfile):
        return [one for path in paths for one in slices_of(path, recipe.protocol.factors)]
    blur = recipe.protocol.blur_sigma
    return [one_image(path, image_io.read(path).to_unit(), recipe.scale, recipe.channels, blur) for path in paths]


def one_image(path: Path, unit: Array, scale: int, channels: int, blur_sigma: float) -> HeldOut:
    """An image in unit values and the low resolution P1's protocol makes of it."""
    ground_truth = crop_to_multiple(as_channels(unit, channels), 2 * scale)
    low = bicubic_then_blur(ground_truth, scale, blur_sigma)
    return HeldOut(path.name, ground_truth, low, Interpolation("bicubic")(low, scale))


def describe_protocol(recipe: Recipe) -> tuple[str, str]:
    """The protocol in words, and the name of the interpolation it is compared with."""
    if isinstance(recipe.degradation, SliceProfile):
        factors = ", ".join(f"{factor:g}" for factor in recipe.protocol.factors)
        every = f"every {EVERY}th slice of the middle half, perpendicular to the second axis"
        return f"mean downsampling of the third axis by {factors}; {every}, 8 bits", "cubic B-spline"
    blur = f"Gaussian blur of sigma {recipe.protocol.blur_sigma:g}"
    return f"bicubic down by {recipe.scale}, {blur}, 8 bits; whole images, all channels", "bicubic"


def slices_of(path: Path, factors: tuple[float, ...]) -> list[HeldOut]:
    """Thick slices of a volume and what they were made of, for a refiner, at each of the factors."""
    volume = volumes.load(path)
    rows, thickness = volume.shape[1], volume.shape[2]
    held_out = []
    for factor in factors:
        coarse = int(thickness / factor)
        fine = round(coarse * factor)
        acquire, plain = matrix(fine, coarse), bspline_matrix(coarse, fine)
        for index in range(rows // 4, 3 * rows // 4, EVERY):
            truth = volume[:, index, :fine].T
            thick = acquire @ truth
            maps = factor_maps((fine / coarse, 1.0), truth.shape)
            low = np.concatenate([(consistent_spline(fine, coarse) @ thick)[None].astype(np.float32), maps])
            interpolated = (plain @ thick).astype(np.float32)[:, :, None]
            name = f"{path.name} x{factor:g} slice {index}"
            held_out.append(HeldOut(name, truth[:, :, None], np.moveaxis(low, 0, 2), interpolated))
    return held_out


def score(model: Predict, held_out: list[HeldOut], scale: int) -> Scores:
    """Mean scores of `model` over the held-out images."""
    results = [metrics.eight_bit(model(one.low_resolution, scale)) for one in held_out]
    pairs = list(zip(results, held_out, strict=True))
    return Scores(
        float(np.mean([metrics.psnr(result, one.ground_truth) for result, one in pairs])),
        float(np.mean([metrics.ssim(result, one.ground_truth) for result, one in pairs])),
    )


def baseline_scores(held_out: list[HeldOut]) -> Scores:
    """Plain interpolation: bicubic for images, cubic B-spline for volumes."""
    given = iter(held_out)
    return score(lambda _low, _scale: next(given).interpolated, held_out, 1)


def sample_sheet(model: Predict, one: HeldOut, scale: int, side: int = 256) -> image_io.Image:
    """Interpolation, model and ground truth side by side: the middle of a held-out image, as an 8-bit image."""
    parts = [one.interpolated, model(one.low_resolution, scale), one.ground_truth]
    height, width = one.ground_truth.shape[:2]
    top, left = max(0, (height - side) // 2), max(0, (width - side) // 2)
    sheet = np.concatenate([part[top : top + side, left : left + side] for part in parts], axis=1)
    pixels = np.rint(sheet.clip(0, 1) * 255).astype(np.uint8)
    return image_io.Image(pixels, Window.of_bits(8), image_io.PNG)
