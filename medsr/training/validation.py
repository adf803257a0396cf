"""Validation on held-out images or volumes, beside plain interpolation."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from medsr.core.errors import WeightsError
from medsr.core.intensity import Window
from medsr.core.resample import bspline_matrix
from medsr.core.types import Array
from medsr.data import volumes
from medsr.data.crops import as_channels
from medsr.degradation.protocols import bicubic_then_blur, crop_to_multiple
from medsr.degradation.slice_profile import consistent_spline, matrix
from medsr.degradation.thick_slices import factor_maps
from medsr.engines.torch_engine import TorchEngine
from medsr.images.network import Interpolation, Network
from medsr.io.images import image as image_io
from medsr.metrics import perceptual, psnr_ssim
from medsr.metrics.names import split
from medsr.networks import checkpoint
from medsr.networks.architectures import kind_of
from medsr.volumes.slice_models import slice_refiner

Predict = Callable[[Array, float], Array]
Measure = Callable[[Array, Array], float]
EVERY = 8
"""Of a held-out volume's slices, one in so many is validated."""


@dataclass(frozen=True)
class ValidationSample:
    """A held-out image: its ground truth, the low resolution the protocol makes of it, and that interpolated.

    All (H, W, C) in [0, 1]. For slices of volumes the low resolution is what a refiner takes.
    """

    name: str
    ground_truth: Array
    low_resolution: Array
    interpolated: Array


@dataclass(frozen=True)
class Scores:
    """Some model over the held-out images, 8-bit output: metric -> one value an image. PSNR in dB, all channels."""

    per_image: Mapping[str, Sequence[float]]

    def mean(self, metric: str) -> float:
        return float(np.mean(self.per_image[metric]))

    def means(self) -> dict[str, float]:
        return {metric: self.mean(metric) for metric in self.per_image}

    @property
    def psnr(self) -> float:
        return self.mean("psnr")

    @property
    def ssim(self) -> float:
        return self.mean("ssim")


def measures(*wanted: str) -> dict[str, Measure]:
    """PSNR, SSIM, and the metrics asked for. Raises WeightsError for one whose weights are not here."""
    by_name: dict[str, Measure] = {
        "psnr": psnr_ssim.psnr,
        "ssim": psnr_ssim.ssim,
        "psnr_y": lambda result, truth: psnr_ssim.psnr(psnr_ssim.luma(result), psnr_ssim.luma(truth)),
        "mse": psnr_ssim.mse,
    }
    for metric in wanted:
        if metric in perceptual.METRICS:
            by_name[metric] = _perceptual(metric)
    return {name: by_name[name] for name in dict.fromkeys(("psnr", "ssim", *wanted))}


def _perceptual(metric: str) -> Measure:
    distance = perceptual.distance(metric)
    if distance is None:
        weights = " ".join(perceptual.absent(metric))
        raise WeightsError(
            f"metric {metric}: needs the weights of {weights}, which are not here: medsr weights fetch {weights}"
        )
    return distance


def better(metric: str, value: float, than: float | None) -> bool:
    """Whether a value of that metric is the better one; any is better than none."""
    if than is None:
        return True
    return value < than if lower_is_better(metric) else value > than


def lower_is_better(metric: str) -> bool:
    return split(metric)[0].better < 0


def one_image(path: Path, unit: Array, scale: int, channels: int, blur_sigma: float) -> ValidationSample:
    """An image in unit values and the low resolution P1's protocol makes of it."""
    ground_truth = crop_to_multiple(as_channels(unit, channels), 2 * scale)
    low = bicubic_then_blur(ground_truth, scale, blur_sigma)
    return ValidationSample(path.name, ground_truth, low, Interpolation("bicubic")(low, scale))


def slices_of(path: Path, factors: tuple[float, ...], maps: bool = True) -> list[ValidationSample]:
    """Thick slices of a volume and what they were made of, at each of the factors; `maps`: as a refiner takes them."""
    volume = volumes.load(path)
    rows, thickness = volume.shape[1], volume.shape[2]
    held_out = []
    for factor in factors:
        coarse = int(thickness / factor)
        fine = round(coarse * factor)
        acquisition, plain = matrix(fine, coarse), bspline_matrix(coarse, fine)
        for index in range(rows // 4, 3 * rows // 4, EVERY):
            truth = volume[:, index, :fine].T
            thick = acquisition @ truth
            low = (consistent_spline(fine, coarse) @ thick)[None].astype(np.float32)
            low = np.concatenate([low, factor_maps((fine / coarse, 1.0), truth.shape)]) if maps else low
            interpolated = (plain @ thick).astype(np.float32)[:, :, None]
            name = f"{path.name} x{factor:g} slice {index}"
            held_out.append(ValidationSample(name, truth[:, :, None], np.moveaxis(low, 0, 2), interpolated))
    return held_out


def predictor(name: str, net: Any, spec: checkpoint.Spec, device: str) -> Predict:
    """A generator as what is validated: low resolution, scale -> result."""
    engine = TorchEngine(net, device)
    if kind_of(spec.architecture) == "slice":
        return slice_refiner(name, engine, spec.architecture, spec.hyperparameters)
    return Network(name, engine, spec.scale, spec.channels)


def score(model: Predict, held_out: list[ValidationSample], scale: int, by: Mapping[str, Measure]) -> Scores:
    """`model` over the held-out images."""
    values: dict[str, list[float]] = {name: [] for name in by}
    for sample in held_out:
        result = psnr_ssim.eight_bit(model(sample.low_resolution, scale))
        for name, measure in by.items():
            values[name].append(measure(result, sample.ground_truth))
    return Scores(values)


def baseline_scores(held_out: list[ValidationSample], by: Mapping[str, Measure]) -> Scores:
    """Plain interpolation: bicubic for images, cubic B-spline for volumes."""
    samples = iter(held_out)
    return score(lambda _low, _scale: next(samples).interpolated, held_out, 1, by)


def better_on(scores: Scores, baseline: Scores) -> int:
    """On how many images a model has the higher PSNR."""
    pairs = zip(scores.per_image["psnr"], baseline.per_image["psnr"], strict=True)
    return sum(own > base for own, base in pairs)


def sample_sheet(model: Predict, sample: ValidationSample, scale: int, side: int = 256) -> image_io.Image:
    """Interpolation, model and ground truth side by side: the middle of a held-out image, as an 8-bit image."""
    parts = [sample.interpolated, model(sample.low_resolution, scale), sample.ground_truth]
    height, width = sample.ground_truth.shape[:2]
    top, left = max(0, (height - side) // 2), max(0, (width - side) // 2)
    sheet = np.concatenate([part[top : top + side, left : left + side] for part in parts], axis=1)
    pixels = np.rint(sheet.clip(0, 1) * 255).astype(np.uint8)
    return image_io.Image(pixels, Window.of_bits(8), image_io.PNG)
