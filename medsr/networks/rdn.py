"""Residual dense networks: RDN, and RRDN with residual-in-residual blocks around its dense ones."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from medsr.networks.srresnet import steps_to

BETA = 0.2
"""Weight of what a dense block of an RRDN adds, as in ESRGAN."""


def rdn(
    scale: int, channels: int = 3, features: int = 64, growth: int = 64, convs: int = 4, blocks: int = 3
) -> nn.Module:
    """RDN (Zhang et al. 2018): `blocks` (D) residual dense blocks of `convs` (C) convolutions, G0 = `features`.

    Local fusion is 1 x 1, global fusion takes the output of every block. (B, channels, H, W) in [0, 1] to
    (B, channels, scale H, scale W).
    """

    def block() -> nn.Module:
        return DenseBlock(features, growth, convs, 1)

    return Rdn(scale, channels, features, block, blocks)


def rrdn(
    scale: int,
    channels: int = 3,
    features: int = 64,
    growth: int = 64,
    convs: int = 4,
    dense: int = 3,
    blocks: int = 10,
) -> nn.Module:
    """RRDN (P4): `blocks` (T) residual-in-residual blocks of `dense` (D) dense blocks of `convs` (C) convolutions.

    Local fusion is 3 x 3, and there is no global one. The defaults have 16,644k (x2) and 16,645k (x4) parameters.
    """

    def block() -> nn.Module:
        return ResidualInResidual([DenseBlock(features, growth, convs, 3) for _ in range(dense)])

    return Rrdn(scale, channels, features, block, blocks)


class DenseBlock(nn.Module):
    """What a residual dense block adds: densely connected convolutions, fused by a `fusion` x `fusion` one."""

    def __init__(self, features: int, growth: int, convs: int, fusion: int) -> None:
        super().__init__()
        sizes = [features + n * growth for n in range(convs)]
        self.convs = nn.ModuleList(nn.Conv2d(size, growth, 3, padding=1) for size in sizes)
        self.fusion = nn.Conv2d(features + convs * growth, features, fusion, padding=fusion // 2)

    def forward(self, x: Tensor) -> Tensor:
        for conv in self.convs:
            x = torch.cat([x, torch.relu(conv(x))], 1)
        return self.fusion(x)  # type: ignore[no-any-return]


class ResidualInResidual(nn.Module):
    """Dense blocks, each with a skip, and a skip around them all."""

    def __init__(self, blocks: list[nn.Module]) -> None:
        super().__init__()
        self.inner = nn.ModuleList(blocks)

    def forward(self, x: Tensor) -> Tensor:
        features = x
        for block in self.inner:
            features = features + BETA * block(features)
        return x + BETA * features


class Rdn(nn.Module):
    """Dense blocks whose outputs are fused, between two first convolutions and sub-pixel convolutions."""

    def __init__(self, scale: int, channels: int, features: int, block: Callable[[], nn.Module], blocks: int) -> None:
        super().__init__()
        self.conv_first = nn.Conv2d(channels, features, 3, padding=1)
        self.conv_second = nn.Conv2d(features, features, 3, padding=1)
        self.body = nn.ModuleList(block() for _ in range(blocks))
        self.fusion = nn.Sequential(
            nn.Conv2d(blocks * features, features, 1), nn.Conv2d(features, features, 3, padding=1)
        )
        self.up = _sub_pixel(scale, features, channels)

    def forward(self, x: Tensor) -> Tensor:
        first = self.conv_first(x)
        features, outputs = self.conv_second(first), []
        for block in self.body:
            features = features + block(features)
            outputs.append(features)
        return self.up(first + self.fusion(torch.cat(outputs, 1)))  # type: ignore[no-any-return]


class Rrdn(nn.Module):
    """Residual-in-residual blocks with a skip over them, between a first and sub-pixel convolutions."""

    def __init__(self, scale: int, channels: int, features: int, block: Callable[[], nn.Module], blocks: int) -> None:
        super().__init__()
        self.conv_first = nn.Conv2d(channels, features, 3, padding=1)
        self.body = nn.Sequential(*(block() for _ in range(blocks)))
        self.conv_body = nn.Conv2d(features, features, 3, padding=1)
        self.up = _sub_pixel(scale, features, channels)

    def forward(self, x: Tensor) -> Tensor:
        first = self.conv_first(x)
        return self.up(first + self.conv_body(self.body(first)))  # type: ignore[no-any-return]


def _sub_pixel(scale: int, features: int, channels: int) -> nn.Sequential:
    """To the colours by sub-pixel convolution, in steps of 2 (or one of 3), a convolution after each."""
    parts: list[nn.Module] = []
    inputs = features
    for step in steps_to(scale):
        parts += [nn.Conv2d(inputs, channels * step * step, 3, padding=1), nn.PixelShuffle(step)]
        parts += [nn.Conv2d(channels, channels, 3, padding=1)]
        inputs = channels
    return nn.Sequential(*parts)
