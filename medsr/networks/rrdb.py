"""RRDBNet, the generator of ESRGAN and Real-ESRGAN, and its weights made fit for other colours and scales."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from medsr.networks.residual_block import begin_quietly

RESIDUAL = 0.2
"""Weight of what a block adds to its input (residual scaling, Wang et al. 2018)."""


def rrdb(scale: int, channels: int = 3, features: int = 64, blocks: int = 23, growth: int = 32) -> nn.Module:
    """RRDBNet (ESRGAN, Real-ESRGAN): (B, channels, H, W) in [0, 1] to (B, channels, scale H, scale W).

    The defaults at scale 4 are P1's generator, 16,697,987 parameters.
    """
    return RRDBNet(scale, channels, features, blocks, growth)


class ResidualDenseBlock(nn.Module):
    """Five 3 x 3 convolutions, each of which sees all before it; what the last one gives is added, scaled."""

    def __init__(self, features: int, growth: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(features, growth, 3, padding=1)
        self.conv2 = nn.Conv2d(features + growth, growth, 3, padding=1)
        self.conv3 = nn.Conv2d(features + 2 * growth, growth, 3, padding=1)
        self.conv4 = nn.Conv2d(features + 3 * growth, growth, 3, padding=1)
        self.conv5 = nn.Conv2d(features + 4 * growth, features, 3, padding=1)
        self.lrelu = nn.LeakyReLU(0.2, inplace=True)
        begin_quietly(self.conv1, self.conv2, self.conv3, self.conv4, self.conv5)

    def forward(self, x: Tensor) -> Tensor:
        maps = [x]
        for conv in (self.conv1, self.conv2, self.conv3, self.conv4):
            maps.append(self.lrelu(conv(torch.cat(maps, 1))))
        return self.conv5(torch.cat(maps, 1)) * RESIDUAL + x  # type: ignore[no-any-return]


class RRDB(nn.Module):
    """Three dense blocks with a scaled skip around them: residual in residual."""

    def __init__(self, features: int, growth: int) -> None:
        super().__init__()
        self.rdb1 = ResidualDenseBlock(features, growth)
        self.rdb2 = ResidualDenseBlock(features, growth)
        self.rdb3 = ResidualDenseBlock(features, growth)

    def forward(self, x: Tensor) -> Tensor:
        return self.rdb3(self.rdb2(self.rdb1(x))) * RESIDUAL + x  # type: ignore[no-any-return]


class RRDBNet(nn.Module):
    """See `rrdb`. It enlarges by 4, so at scales 1 and 2 it first folds pixels into channels (Real-ESRGAN)."""

    def __init__(self, scale: int, channels: int, features: int, blocks: int, growth: int) -> None:
        super().__init__()
        self.fold = 4 // scale
        self.conv_first = nn.Conv2d(channels * self.fold**2, features, 3, padding=1)
        self.body = nn.Sequential(*(RRDB(features, growth) for _ in range(blocks)))
        self.conv_body = nn.Conv2d(features, features, 3, padding=1)
        self.conv_up1 = nn.Conv2d(features, features, 3, padding=1)
        self.conv_up2 = nn.Conv2d(features, features, 3, padding=1)
        self.conv_hr = nn.Conv2d(features, features, 3, padding=1)
        self.conv_last = nn.Conv2d(features, channels, 3, padding=1)
        self.lrelu = nn.LeakyReLU(0.2, inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        if self.fold > 1:
            x = functional.pixel_unshuffle(x, self.fold)
        first = self.conv_first(x)
        maps = first + self.conv_body(self.body(first))
        for conv in (self.conv_up1, self.conv_up2):
            maps = self.lrelu(conv(functional.interpolate(maps, scale_factor=2, mode="nearest")))
        return self.conv_last(self.lrelu(self.conv_hr(maps)))  # type: ignore[no-any-return]


def adapted(state: dict[str, Tensor], before: int, channels: int, fresh: dict[str, Tensor]) -> dict[str, Tensor]:
    """Weights of a network of `before` channels, for one of `channels` with the weights `fresh`; any scale."""
    state = convert_channels(state, before, channels)
    return state | {"conv_first.weight": refolded(state["conv_first.weight"], channels, fresh["conv_first.weight"])}


def convert_channels(state: dict[str, Tensor], before: int, channels: int) -> dict[str, Tensor]:
    """An RRDBNet's weights for grey instead of colour, or colour instead of grey.

    The grey network does what the colour one does to a grey image repeated, its output averaged; and the other way
    round, every colour comes out as the grey of all.
    """
    if before == channels:
        return state
    first = state["conv_first.weight"]
    features, folded, height, width = first.shape
    parts = first.reshape(features, before, folded // before, height, width)  # a colour's sub-pixels are together
    parts = parts.sum(1, keepdim=True) / channels
    changed = {"conv_first.weight": parts.repeat_interleave(channels, 1).reshape(features, -1, height, width)}
    for name in ("conv_last.weight", "conv_last.bias"):
        changed[name] = state[name].mean(0, keepdim=True).repeat_interleave(channels, 0)
    return state | changed


def refolded(weight: Tensor, channels: int, like: Tensor) -> Tensor:
    """An RRDBNet's first convolution for another scale, which folds other blocks of pixels into channels.

    Of smaller blocks: each pixel stands for those it replaces (their weights add up). Of larger ones: the pixels that
    replace one share its weight.
    """
    features, height, width = weight.shape[0], *weight.shape[2:]
    old, new = (math.isqrt(tensor.shape[1] // channels) for tensor in (weight, like))
    if old >= new:
        ratio = old // new
        parts = weight.reshape(features, channels, new, ratio, new, ratio, height, width).sum((3, 5))
    else:
        ratio = new // old
        parts = weight.reshape(features, channels, old, old, height, width)
        parts = parts.repeat_interleave(ratio, 2).repeat_interleave(ratio, 3) / ratio**2
    return parts.reshape(features, channels * new * new, height, width)
