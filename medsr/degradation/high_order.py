"""Real-ESRGAN's high-order degradation (Wang et al. 2021): blur, resizing, noise and JPEG, twice.

What will be done is drawn first (`draw`, from a generator of the caller's) and done afterwards (`apply`): the same
draw on the same images gives the same low resolution, whatever else uses random numbers.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from medsr.degradation import kernels
from medsr.recipe import DegradationStage, HighOrder, ResizeModes

if TYPE_CHECKING:
    from torch import Tensor

KERNEL_SIDE = 21
Mode = Literal["area", "bilinear", "bicubic"]
_MODES: tuple[Mode, ...] = ("area", "bilinear", "bicubic")


@dataclass(frozen=True)
class NoiseDraw:
    """Noise for a batch: per-image strength (sigma/255, or Poisson scale) and whether it is grey."""

    gaussian: bool
    strength: NDArray[np.float32]
    grey: NDArray[np.float32]
    seed: int


@dataclass(frozen=True)
class OrderDraw:
    """One pass over a batch. None means that step is left out."""

    kernels: NDArray[np.float32] | None
    resize: float
    mode: Mode
    noise: NoiseDraw | None
    jpeg: NDArray[np.float32] | None


@dataclass(frozen=True)
class Draw:
    """Everything random about one batch's degradation."""

    first: OrderDraw
    second: OrderDraw
    sinc: NDArray[np.float32] | None
    jpeg_last: bool
    final_mode: Mode


def draw(settings: HighOrder, rng: np.random.Generator, batch: int) -> Draw:
    """Draw the degradation of `batch` images: kernels and strengths per image, resizes per batch, as in Real-ESRGAN."""
    first, second = _draw_order(settings.first, rng, batch), _draw_order(settings.second, rng, batch)
    sinc = None
    if settings.final_sinc_probability > 0:
        sinc = np.stack([_final_sinc(settings.final_sinc_probability, rng) for _ in range(batch)])
    return Draw(first, second, sinc, bool(rng.random() < 0.5), _draw_mode(settings.second.resize_modes, rng))


def apply(images: Tensor, drawn: Draw, scale: int, antialias: bool = False) -> Tensor:
    """Degrade (B, C, H, W) in [0, 1] to (B, C, H/scale, W/scale), in 8-bit steps in [0, 1].

    `antialias`: reductions filter first, as imaging devices and Pillow do; Real-ESRGAN's do not.
    """
    height, width = images.shape[-2:]
    if images.shape[1] == 1:  # its noise and JPEG are defined on colours
        return apply(images.expand(-1, 3, -1, -1), drawn, scale, antialias).mean(1, keepdim=True)
    out = _blur(images, drawn.first.kernels)
    size = (max(1, int(height * drawn.first.resize)), max(1, int(width * drawn.first.resize)))
    out = _resize(out, size, drawn.first.mode, antialias)
    out = _jpeg(_noise(out, drawn.first.noise), drawn.first.jpeg)
    second = drawn.second
    out = _blur(out, second.kernels)
    size = (max(1, int(height / scale * second.resize)), max(1, int(width / scale * second.resize)))
    out = _noise(_resize(out, size, second.mode, antialias), second.noise)
    final = (height // scale, width // scale)
    if drawn.jpeg_last:
        out = _blur(_resize(out, final, drawn.final_mode, antialias), drawn.sinc)
        out = _jpeg(out, second.jpeg)
    else:
        out = _jpeg(out, second.jpeg)
        out = _blur(_resize(out, final, drawn.final_mode, antialias), drawn.sinc)
    return (out * 255).round().clamp(0, 255) / 255


def _draw_order(order: DegradationStage, rng: np.random.Generator, batch: int) -> OrderDraw:
    kernels = None
    if rng.random() < order.blur_probability:
        kernels = np.stack([_kernel(order, rng) for _ in range(batch)])
    weights = np.array(order.resize_up_down_keep)
    kind = ("up", "down", "keep")[rng.choice(3, p=weights / weights.sum())]
    low, high = order.resize_range
    up, down = rng.uniform(max(low, 1.0), max(high, 1.0)), rng.uniform(min(low, 1.0), min(high, 1.0))
    resize = {"up": up, "down": down, "keep": 1.0}[kind]
    mode = _draw_mode(order.resize_modes, rng)
    noise = _draw_noise(order, rng, batch) if rng.random() < order.noise_probability else None
    jpeg = None
    if rng.random() < order.jpeg_probability:
        jpeg = rng.uniform(*order.jpeg_quality, batch).astype(np.float32)
    return OrderDraw(kernels, float(resize), mode, noise, jpeg)


def _draw_mode(modes: ResizeModes, rng: np.random.Generator) -> Mode:
    shares = np.array([getattr(modes, mode) for mode in _MODES])
    if len(set(shares)) == 1:  # as drawn before there was a choice: runs go on with the same pairs
        return _MODES[rng.integers(3)]
    return _MODES[rng.choice(3, p=shares / shares.sum())]


def _draw_noise(order: DegradationStage, rng: np.random.Generator, batch: int) -> NoiseDraw:
    gaussian = bool(rng.random() < order.gaussian_noise_probability)
    strength = rng.uniform(*(order.gaussian_sigma if gaussian else order.poisson_scale), batch).astype(np.float32)
    grey = (rng.random(batch) < order.grey_noise_probability).astype(np.float32)
    return NoiseDraw(gaussian, strength, grey, int(rng.integers(1 << 62)))


def _kernel(order: DegradationStage, rng: np.random.Generator) -> NDArray[np.float32]:
    """A blur kernel, padded to 21 x 21."""
    low, high = order.kernel_sizes
    size = int(rng.integers(low // 2, high // 2 + 1)) * 2 + 1
    if rng.random() < order.sinc_probability:
        cutoff = rng.uniform(math.pi / (3 if size < 13 else 5), math.pi)
        kernel = kernels.sinc(size, cutoff)
    else:
        mix = order.kernels.model_dump()
        weights = np.array(list(mix.values()))
        name = str(rng.choice(list(mix), p=weights / weights.sum()))
        kernel = _mixed_kernel(name, size, order, rng)
    return _padded(kernel)


def _mixed_kernel(name: str, size: int, order: DegradationStage, rng: np.random.Generator) -> NDArray:
    isotropic = name == "iso" or name.endswith("_iso")
    sigma_x = rng.uniform(*order.blur_sigma)
    sigma_y = sigma_x if isotropic else rng.uniform(*order.blur_sigma)
    angle = 0.0 if isotropic else rng.uniform(-math.pi, math.pi)
    if name.startswith("generalized"):
        return kernels.generalized_gaussian(size, (sigma_x, sigma_y), angle, _beta(order.betag, rng))
    if name.startswith("plateau"):
        return kernels.plateau(size, (sigma_x, sigma_y), angle, _beta(order.betap, rng))
    return kernels.gaussian(size, (sigma_x, sigma_y), angle)


def _beta(bounds: tuple[float, float], rng: np.random.Generator) -> float:
    """Half of the draws below 1 and half above, as in Real-ESRGAN, as far as the range reaches."""
    low, high = bounds
    return float(
        rng.uniform(low, max(low, min(1.0, high))) if rng.random() < 0.5 else rng.uniform(max(1.0, low), max(1.0, high))
    )


def _final_sinc(probability: float, rng: np.random.Generator) -> NDArray[np.float32]:
    if rng.random() < probability:
        size = int(rng.integers(3, 11)) * 2 + 1
        return _padded(kernels.sinc(size, rng.uniform(math.pi / 3, math.pi)))
    pulse = np.zeros((KERNEL_SIDE, KERNEL_SIDE), np.float32)
    pulse[KERNEL_SIDE // 2, KERNEL_SIDE // 2] = 1
    return pulse


def _padded(kernel: NDArray) -> NDArray[np.float32]:
    margin = (KERNEL_SIDE - kernel.shape[0]) // 2
    return np.pad(kernel, margin).astype(np.float32)


def _blur(images: Tensor, drawn: NDArray[np.float32] | None) -> Tensor:
    if drawn is None:
        return images
    import torch

    from medsr.degradation.blur import blur

    return blur(images, torch.from_numpy(drawn).to(images.device))


def _resize(images: Tensor, size: tuple[int, int], mode: Mode, antialias: bool) -> Tensor:
    if images.shape[-2:] == size:
        return images
    from torch.nn import functional

    if mode == "area":
        return functional.interpolate(images, size, mode="area")
    return functional.interpolate(images, size, mode=mode, align_corners=False, antialias=antialias)


def _noise(images: Tensor, noise: NoiseDraw | None) -> Tensor:
    if noise is None:
        return images
    import torch

    from medsr.degradation.noise import gaussian, poisson

    strength = torch.from_numpy(noise.strength).to(images.device)
    grey = torch.from_numpy(noise.grey).to(images.device)
    devices = [images.device] if images.device.type == "cuda" else []
    with torch.random.fork_rng(devices):  # noise draws from torch's global stream; leave that as it was
        torch.manual_seed(noise.seed)
        if not noise.gaussian:
            images = images.clamp(0, 1)  # a Poisson rate cannot be negative
        added = (gaussian if noise.gaussian else poisson)(images, strength, grey)
    return (images + added).clamp(0, 1)


def _jpeg(images: Tensor, quality: NDArray[np.float32] | None) -> Tensor:
    if quality is None:
        return images
    import torch

    from medsr.degradation.jpeg import jpeg

    return jpeg(images.clamp(0, 1), torch.from_numpy(quality).to(images.device))
