"""What the benchmarks of 2D images share: opening models, running them, scoring on one channel and in regions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from medsr.commands.evaluate.case import Case, Item, Mask, Runner
from medsr.core.errors import InputError, UsageError
from medsr.core.intensity import Window
from medsr.core.types import Array, Distance, Notify
from medsr.data.depth import depth_of
from medsr.degradation.protocols import bicubic_then_blur
from medsr.engines.base import Compute
from medsr.images.network import Model, Network
from medsr.io.images import image as image_io
from medsr.io.images.formats import WRITTEN
from medsr.io.kinds import left_out
from medsr.io.wrong_kind import SCANS, holds_only_scans
from medsr.metrics import perceptual, psnr_ssim
from medsr.metrics.detail import bands, detail
from medsr.metrics.psnr_ssim import eight_bit
from medsr.volumes.models import open_model, weights_hash

METRICS = {"psnr": psnr_ssim.psnr, "ssim": psnr_ssim.ssim, "mse": psnr_ssim.mse}
SMALLEST = 11
"""Side of the smallest image SSIM's window fits in."""


@dataclass(frozen=True)
class ImageRunner:
    """A model for images: its result is rounded to 8 bits, as a file would hold it."""

    model: Model
    scale: int
    sha256: str | None = None

    @property
    def note(self) -> str:
        """How a network's result came about; of another factor than its own, too."""
        if not isinstance(self.model, Network):
            return ""
        treatment = "local means as in the input" if self.model.consistency else "as the network made it"
        if self.model.consistency and self.model.strength:
            treatment += ", strength by the sharpness of the input"
        own = self.model.scale
        return treatment if own == self.scale else f"{treatment}; own factor {own}, brought to {self.scale} by Lanczos"

    def __call__(self, case: Case) -> Array:
        """(h, w, C) to (H, W, C), 8 bits in [0, 1]."""
        return eight_bit(self.model(case.low_resolution, self.scale))


@dataclass
class ImageBenchmark:
    """A benchmark of 2D images: subclasses say which, and what their ground truth is.

    `blur_sigma`: of P1's Gaussian, in low-resolution pixels. `device`: for LPIPS. `consistency`: networks keep the
    local means of their input, as in `medsr upscale`. `bits`: of 16-bit files that do not declare how many they hold.
    """

    data: Path
    scale: int = 2
    blur_sigma: float = 1.0
    device: str = "cpu"
    consistency: bool = True
    bits: int | None = None
    baseline: str = field(default="bicubic", init=False)
    luma_suffices: bool = field(default=False, init=False)
    """Whether Y alone is enough of a result."""

    def __post_init__(self) -> None:
        """Raises UsageError for numbers out of their range."""
        if not 0 <= self.blur_sigma <= 20:
            raise UsageError(f"`blur_sigma={self.blur_sigma:g}`: expected low-resolution pixels from 0 to 20")
        if self.bits is not None and not 8 <= self.bits <= 16:
            raise UsageError(f"`bits={self.bits}`: expected 8 to 16")

    def customised(self) -> bool:
        """Whether networks are run otherwise than `medsr upscale` runs them unasked."""
        return not self.consistency

    def rows(self, model: str, runner: Runner) -> Mapping[str, Runner]:
        """One for each model."""
        return {model: runner}

    @cached_property
    def _perceptual(self) -> dict[str, Distance]:
        distances = {metric: perceptual.distance(metric, self.device) for metric in perceptual.METRICS}
        return {metric: distance for metric, distance in distances.items() if distance is not None}

    def _perceptual_version(self, metric: str) -> str:
        if metric in self._perceptual:
            return perceptual.METRICS[metric].version
        return f"not measured: medsr weights fetch {' '.join(perceptual.absent(metric))}"

    def read(self, path: Path) -> Array:
        """An image file as it is shown, (H, W, 1 or 3) in [0, 1]. Raises InputError."""
        return image_io.read_as_shown(path, self.bits).to_unit()

    def settle(self, items: Sequence[Item], notify: Notify) -> None:
        """Decide once how many bits the 16-bit files hold that do not declare it, and name what is not read."""
        depth = depth_of(self.bits, self.data, (item.image for item in items))
        self.bits = depth.bits
        for line in (*filter(None, [depth.line]), *left_out(self.data)):
            notify(line)

    def calibrate(self, notify: Notify) -> None:
        """Nothing to do."""

    def open(self, model: str, compute: Compute, tile: int | None) -> ImageRunner:
        """Raises UsageError or WeightsError."""
        opened = open_model(model, compute, tile, self.consistency)
        opened(np.zeros((32, 32, 3), np.float32), self.scale)  # what a first call loads is not counted to an image
        return ImageRunner(opened, self.scale, weights_hash(model))

    def export_inputs(self, case: Case, stem: Path) -> None:
        """A PNG of 8 bits."""
        pixels = np.rint(case.low_resolution.clip(0, 1) * 255).astype(np.uint8)
        stem.parent.mkdir(parents=True, exist_ok=True)
        image_io.write(stem.with_name(f"{stem.name}.png"), image_io.Image(pixels, Window.of_bits(8), image_io.PNG))

    def is_result(self, path: Path) -> bool:
        """By its suffix."""
        return path.suffix.lower() in image_io.SUFFIXES and not path.name.startswith(".")

    def import_results(self, path: Path, case: Case) -> Array:
        """(H, W, C) in [0, 1], rounded to 8 bits; grey where the ground truth is. All 16 bits count where there are."""
        unit = eight_bit(image_io.read_as_shown(path, bits=16).to_unit())
        height, width, channels = case.ground_truth.shape
        check_size(unit, (width, height), path, "the ground truth's size")
        if unit.shape[2] < channels and not self.luma_suffices:
            raise InputError(f"{path}: grey, the ground truth is in colour; a result must be, too")
        return grey(unit) if channels == 1 else unit

    def degraded(self, ground_truth: Array) -> Array:
        """P1's low resolution."""
        return bicubic_then_blur(ground_truth, self.scale, self.blur_sigma)

    def channel(self, unit: Array) -> Array:
        """The channel that the headline figures are of, (H, W, 1)."""
        return grey(unit)

    def show(self, array: Array, case: Case) -> Array:
        """As it is: in its own colours."""
        return array

    def score(self, result: Array, case: Case) -> dict[str, float]:
        """PSNR, SSIM, MSE on that channel, whole and in regions; perceptual distances; detail, sharpness, agreement."""
        truth = case.ground_truth
        channel = self.channel(result)
        metrics = scores(channel, self.channel(truth), case.regions)
        metrics |= {metric: distance(result, truth) for metric, distance in self._perceptual.items()}
        metrics |= _detail_shares(channel, self.channel(truth), self.scale)
        metrics["sharpness"] = psnr_ssim.sharpness(channel)
        metrics["lr_psnr"] = self.agreement(result, case)
        return metrics

    def agreement(self, result: Array, case: Case) -> float:
        """Whatever a model invents, made low resolution again it should be what the model was given: PSNR in dB."""
        return psnr_ssim.psnr(self.degraded(result), case.low_resolution)

    def steps(self) -> dict[str, Any]:
        """What the low resolution is and how a result is measured, for the protocol."""
        octaves = ", ".join(f"{low:g} to {high:g}" for low, high in bands(self.scale))
        return {
            "scale": self.scale,
            "low_resolution": f"bicubic (antialiased) down by {self.scale}, Gaussian blur of sigma "
            f"{self.blur_sigma:g} low-resolution pixels, 8 bits",
            "blur_sigma": self.blur_sigma,
            "output": "rounded to 8 bits",
            **({"bits": f"16-bit files without declared depth read as {self.bits}-bit"} if self.bits else {}),
            "ssim": "Gaussian window of sigma 1.5 (11 pixels), K 0.01 and 0.03",
            "mse": "in grey levels of 8 bits, squared",
            "detail": f"energy in the bands {octaves} cycles per pixel, in parts of the truth's: missing (detail of "
            "the truth that is not there) and added (not in the truth); in neighbourhoods of sigma 8 pixels",
            **{metric: self._perceptual_version(metric) for metric in perceptual.METRICS},
        }


def _detail_shares(channel: Array, truth: Array, scale: int) -> dict[str, float]:
    """What fine detail is missing and what was added; empty where the truth has none."""
    shares = detail(channel[:, :, 0], truth[:, :, 0], scale)
    if shares is None:
        return {}
    return {"detail_missing": shares.missing, "detail_added": shares.added, "detail_added_worst": shares.worst}


def scores(result: Array, truth: Array, regions: Mapping[str, Mask], suffix: str = "") -> dict[str, float]:
    """PSNR, SSIM and MSE of the whole image, and of every region."""
    metrics = {name + suffix: metric(result, truth) for name, metric in METRICS.items()}
    for region, where in regions.items():
        if where.any():
            metrics |= {f"{name}{suffix}_{region}": metric(result, truth, where) for name, metric in METRICS.items()}
    return metrics


def green(unit: Array) -> Array:
    """The green channel of colour, (H, W, 1); grey as it is."""
    return unit[:, :, 1:2] if unit.shape[2] == 3 else unit


def grey(unit: Array) -> Array:
    """(H, W, 1): the mean of the channels."""
    return unit.mean(axis=2, keepdims=True) if unit.shape[2] == 3 else unit


def check_size(unit: Array, size: tuple[int, int] | None, path: Path, why: str) -> None:
    """Raise InputError for an image of another (width, height) than the protocol is about."""
    height, width = unit.shape[:2]
    if size is not None and (width, height) != size:
        raise InputError(f"{path}: {width}x{height} pixels, expected {size[0]}x{size[1]} ({why})")


def check_large_enough(unit: Array, path: Path, border: int = 0) -> None:
    """Raise InputError where too little of the image is left to be measured, once its `border` is cropped."""
    height, width = unit.shape[:2]
    if min(height, width) - 2 * border < SMALLEST:
        raise InputError(f"{path}: {width}x{height} pixels are too few to measure, at least {SMALLEST + 2 * border}")


def images_below(folder: Path) -> list[Item]:
    """Every image file below a folder, named by its place there, without its suffix where that is no other's name.

    Raises InputError where there is none.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: not a folder")
    paths = image_io.list_images(folder)
    if not paths:
        if holds_only_scans(folder):
            raise InputError(f"{folder}: {SCANS}medsr evaluate volume --data {folder}")
        there = ", ".join(sorted(path.name for path in folder.iterdir())[:3]) or "nothing"
        formats = ", ".join(entry.name for entry in WRITTEN)
        raise InputError(f"{folder}: expected a folder of ground-truth images ({formats}), found {there}")
    short = [path.with_suffix("") if path.suffix.lower() in image_io.SUFFIXES else path for path in paths]
    taken = Counter(short)
    names = [stem if taken[stem] == 1 else path for stem, path in zip(short, paths, strict=True)]
    return [Item(name.relative_to(folder).as_posix(), {"image": path}) for name, path in zip(names, paths, strict=True)]
