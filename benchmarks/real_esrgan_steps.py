"""What RealESRGANer and `realesrgan/train.py` compute, step by step, where their packages are not there.

The same operations in the same order on the same numbers: `tests/test_gpu_benchmark.py` compares both, bit by bit.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

TILE_PAD = PRE_PAD = 10
EMA = 0.999


class RealEsrganerSteps:
    """RealESRGANer's `enhance` for an 8-bit colour image. `tile`: side in low-resolution pixels, 0 for one piece."""

    def __init__(self, net: nn.Module, scale: int, tile: int, device: str, half: bool) -> None:
        self.net, self.scale, self.tile, self.device = net.eval().to(device), scale, tile, device
        self.dtype = torch.float16 if half else torch.float32
        self.net = self.net.to(self.dtype)

    @torch.no_grad()
    def enhance(self, image: np.ndarray) -> np.ndarray:
        """(H, W, 3) uint8, blue first, to (scale H, scale W, 3) uint8, blue first."""
        unit = (image.astype(np.float32) / 255)[:, :, ::-1]
        pixels = torch.from_numpy(np.ascontiguousarray(unit.transpose(2, 0, 1))).float()[None]
        pixels = functional.pad(pixels.to(self.device).to(self.dtype), (0, PRE_PAD, 0, PRE_PAD), "reflect")
        height, width = pixels.shape[2:]
        multiple = {1: 4, 2: 2}.get(self.scale, 1)
        pixels = functional.pad(pixels, (0, -width % multiple, 0, -height % multiple), "reflect")
        result = self._tiled(pixels) if self.tile else self.net(pixels)
        result = result[:, :, : image.shape[0] * self.scale, : image.shape[1] * self.scale]
        result = result.squeeze().float().cpu().clamp_(0, 1).numpy()[[2, 1, 0]].transpose(1, 2, 0)
        return (result * 255.0).round().astype(np.uint8)

    def _tiled(self, pixels: Tensor) -> Tensor:
        height, width = pixels.shape[2:]
        scale = self.scale
        result = pixels.new_zeros((1, pixels.shape[1], height * scale, width * scale))
        for row in range(math.ceil(height / self.tile)):
            for column in range(math.ceil(width / self.tile)):
                top, left = row * self.tile, column * self.tile
                bottom, right = min(top + self.tile, height), min(left + self.tile, width)
                first_row, first_column = max(top - TILE_PAD, 0), max(left - TILE_PAD, 0)
                last_row, last_column = min(bottom + TILE_PAD, height), min(right + TILE_PAD, width)
                tile = self.net(pixels[:, :, first_row:last_row, first_column:last_column])
                skip_rows, skip_columns = (top - first_row) * scale, (left - first_column) * scale
                result[:, :, top * scale : bottom * scale, left * scale : right * scale] = tile[
                    :,
                    :,
                    skip_rows : skip_rows + (bottom - top) * scale,
                    skip_columns : skip_columns + (right - left) * scale,
                ]
        return result


class TrainingSteps:
    """`optimize_parameters` of RealESRGANModel with L1, the vanilla GAN loss and EMA, on pairs that are ready.

    fp32, channels first, Adam of torch's own choice, as upstream. Nothing is sharpened.
    """

    def __init__(self, generator: nn.Module, discriminator: nn.Module, average: nn.Module, device: str) -> None:
        self.generator, self.discriminator = generator.to(device).train(), discriminator.to(device).train()
        self.average = average.to(device).eval()
        self.average.load_state_dict(self.generator.state_dict())
        self.optimizers = [torch.optim.Adam(net.parameters(), 1e-4, (0.9, 0.99)) for net in (generator, discriminator)]

    def step(self, high: Tensor, low: Tensor) -> dict[str, float]:
        """One iteration on (B, 3, H, W) in [0, 1] and its low resolution; the losses, weighted."""
        self.discriminator.requires_grad_(False)
        self.optimizers[0].zero_grad()
        result = self.generator(low)
        l1 = functional.l1_loss(result, high)
        gan = 0.1 * _towards(self.discriminator(result), 1.0)
        (l1 + gan).backward()
        self.optimizers[0].step()
        self.discriminator.requires_grad_(True)
        self.optimizers[1].zero_grad()
        real = _towards(self.discriminator(high), 1.0)
        real.backward()
        fake = _towards(self.discriminator(result.detach().clone()), 0.0)
        fake.backward()
        self.optimizers[1].step()
        averages = dict(self.average.named_parameters())
        for name, parameter in self.generator.named_parameters():
            averages[name].data.mul_(EMA).add_(parameter.data, alpha=1 - EMA)
        parts: dict[str, Any] = {"l1": l1, "gan": gan, "real": real, "fake": fake}
        return {name: float(value.detach()) for name, value in parts.items()}


def _towards(logits: Tensor, value: float) -> Tensor:
    return functional.binary_cross_entropy_with_logits(logits, logits.new_ones(logits.size()) * value)
