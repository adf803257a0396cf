"""Discriminators. `crop`: side of what they will see; those that take any size ignore it."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.parametrizations import spectral_norm

from medsr.networks.unet_sn import UNetDiscriminatorSN


def unet_sn(channels: int = 3, features: int = 64, crop: int = 0) -> nn.Module:
    """Real-ESRGAN's U-Net with skip connections and spectral normalisation; 4,376,897 parameters at 64 features.

    (B, channels, H, W), H and W multiples of 8, to one logit a pixel, (B, 1, H, W). Any crop.
    """
    return UNetDiscriminatorSN(channels, features)


def vgg(channels: int = 3, features: int = 64, crop: int = 180, pooled: bool = False) -> nn.Module:
    """SRGAN's (Ledig et al. 2017, P3): eight convolutions, features doubling to eight times, two dense layers.

    (B, channels, crop, crop) to one logit an image, (B, 1); 80,188,609 parameters at crop 180. `pooled` (P5): the last
    maps are averaged before the dense layers, so that any crop has the same few parameters.
    """

    def block(inputs: int, outputs: int, stride: int) -> list[nn.Module]:
        return [nn.Conv2d(inputs, outputs, 3, stride, 1), nn.BatchNorm2d(outputs), nn.LeakyReLU(0.2, inplace=True)]

    layers: list[nn.Module] = [nn.Conv2d(channels, features, 3, 1, 1), nn.LeakyReLU(0.2, inplace=True)]
    layers += block(features, features, 2)
    for times in (2, 4, 8):
        layers += block(features * times // 2, features * times, 1) + block(features * times, features * times, 2)
    side = crop
    for _ in range(4):
        side = -(-side // 2)
    if pooled:
        layers.append(nn.AdaptiveAvgPool2d(1))
        side = 1
    dense = [nn.Linear(8 * features * side * side, 1024), nn.LeakyReLU(0.2, inplace=True), nn.Linear(1024, 1)]
    return nn.Sequential(*layers, nn.Flatten(), *dense)


def attention_unet(channels: int = 3, features: int = 64, crop: int = 0, scales: int = 2) -> nn.Module:
    """A-ESRGAN's (Wei et al. 2021): U-Nets whose skips go through attention gates, on the image and its half.

    (B, channels, H, W), H and W multiples of 16, to one logit a pixel and scale, (B, scales, H, W): those of the half
    are repeated, so that every scale counts the same. Spectral normalisation throughout.
    """
    return MultiScaleDiscriminator(channels, features, scales)


class MultiScaleDiscriminator(nn.Module):
    """One discriminator for the image and one for each of its reductions by 2; logits at the size of the image."""

    def __init__(self, channels: int, features: int, scales: int) -> None:
        super().__init__()
        self.nets = nn.ModuleList(GatedUNet(channels, features) for _ in range(scales))

    def forward(self, x: Tensor) -> Tensor:
        logits = []
        for number, net in enumerate(self.nets):
            reduced = functional.avg_pool2d(x, 2**number) if number else x
            logits.append(functional.interpolate(net(reduced), x.shape[-2:]))
        return torch.cat(logits, 1)


def _conv(inputs: int, outputs: int, size: int = 3, stride: int = 1) -> nn.Module:
    return spectral_norm(nn.Conv2d(inputs, outputs, size, stride, size // 2 if stride == 1 else 1, bias=False))


class AttentionGate(nn.Module):
    """Additive attention (Oktay et al. 2018): what the coarse level sees says where the skip counts."""

    def __init__(self, skip: int, coarse: int) -> None:
        super().__init__()
        self.of_skip, self.of_coarse = _conv(skip, skip, 1), nn.Conv2d(coarse, skip, 1)
        self.both = nn.Conv2d(skip, 1, 1)

    def forward(self, skip: Tensor, coarse: Tensor) -> Tensor:
        query = functional.interpolate(self.of_coarse(coarse), skip.shape[-2:], mode="bilinear")
        return skip * torch.sigmoid(self.both(torch.relu(self.of_skip(skip) + query)))


class GatedUNet(nn.Module):
    """A U-Net whose skips go through attention gates; one logit a pixel."""

    def __init__(self, channels: int, features: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, features, 3, 1, 1)
        sizes = [features * times for times in (1, 2, 4, 8)]
        self.down = nn.ModuleList(_conv(a, b, 4, 2) for a, b in pairwise(sizes))
        self.gates = nn.ModuleList(AttentionGate(a, b) for a, b in pairwise(sizes))
        self.up = nn.ModuleList(_conv(b, a) for a, b in pairwise(sizes))
        self.last = nn.Sequential(
            _conv(features, features), nn.LeakyReLU(0.2, inplace=True), nn.Conv2d(features, 1, 3, 1, 1)
        )

    def forward(self, x: Tensor) -> Tensor:
        levels = [functional.leaky_relu(self.first(x), 0.2)]
        for down in self.down:
            levels.append(functional.leaky_relu(down(levels[-1]), 0.2))
        maps = levels.pop()
        for up, gate in zip(reversed(self.up), reversed(self.gates), strict=True):
            skip = gate(levels[-1], maps)
            levels.pop()
            maps = functional.interpolate(maps, skip.shape[-2:], mode="bilinear")
            maps = functional.leaky_relu(up(maps), 0.2) + skip
        return self.last(maps)  # type: ignore[no-any-return]
