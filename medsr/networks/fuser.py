"""A network that fuses what a refiner made of two planes, seen in the third."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import pixel_shuffle, pixel_unshuffle

from medsr.networks.residual_block import ResidualBlockNoBN

LOUDER = 8.0
"""What planes differ by is small beside the image: so many times larger the network sees it."""


def fuser(scale: int = 1, channels: int = 1, features: int = 32, blocks: int = 4) -> nn.Module:
    """(B, 4, H, W), H and W even, to (B, 1, H, W): the mean of two planes' results and what makes it better.

    Inputs: the interpolated slice, both planes' results there, and how coarse the scan is through this plane, constant
    (`thick_slices.factor_maps`). A fresh one returns the mean. After the fusion network of SAINT (Peng et al.
    2020), which sees both planes' results in the third; at half the resolution, with EDSR's blocks, as the refiner.
    """
    if scale != 1 or channels != 1:
        raise ValueError(
            f"a fuser keeps the size of its slices, of one channel; not scale {scale}, channels {channels}"
        )
    return PlaneFusionNet(features, blocks)


class PlaneFusionNet(nn.Module):
    """See `fuser`."""

    def __init__(self, features: int, blocks: int) -> None:
        super().__init__()
        self.conv_first = nn.Conv2d(3 * 4 + 1, features, 3, padding=1)
        self.body = nn.Sequential(*(ResidualBlockNoBN(features) for _ in range(blocks)))
        self.conv_last = nn.Conv2d(features, 4, 3, padding=1)
        nn.init.zeros_(self.conv_last.weight)
        nn.init.zeros_(self.conv_last.bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        interpolated, first, second, coarse = x.split(1, 1)
        mean = (first + second) / 2
        planes = torch.cat([interpolated, LOUDER * (mean - interpolated), LOUDER * (first - second) / 2], 1)
        features = self.conv_first(torch.cat([pixel_unshuffle(planes, 2), coarse[:, :, ::2, ::2]], 1))
        return mean + pixel_shuffle(self.conv_last(self.body(features)), 2) / LOUDER
