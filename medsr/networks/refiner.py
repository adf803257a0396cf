"""A generator that refines an interpolated slice at its own size."""

from __future__ import annotations

from typing import TYPE_CHECKING

from medsr.networks import upstream

if TYPE_CHECKING:
    from torch import nn


def reach(blocks: int) -> int:
    """How many pixels away an input pixel can still change an output pixel: 3 x 3 convolutions at half the size."""
    return 2 * (2 * blocks + 2) + 2


def refiner(scale: int = 1, channels: int = 1, features: int = 64, blocks: int = 12) -> nn.Module:
    """(B, channels + 2, H, W), H and W even, to (B, channels, H, W): what interpolation blurred, sharpened.

    The last two inputs are constant maps that say how coarse rows and columns were acquired
    (`degrade.thick_slices.factor_maps`). EDSR's residual blocks (Lim et al. 2017) at half the resolution, with exact
    sub-pixel folding around them and a skip from input to output. A fresh one returns the slice it was given. As it
    works at the target size, one network serves every real factor, and axes of different factors.
    """
    if scale != 1:
        raise ValueError(f"a refiner keeps the size of its input; scale {scale} is not possible")
    import torch
    from torch import nn

    block = upstream.residual_block()

    class Refiner(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv_first = nn.Conv2d(4 * channels + 2, features, 3, padding=1)
            self.body = nn.Sequential(*(block(features) for _ in range(blocks)))
            self.conv_last = nn.Conv2d(features, 4 * channels, 3, padding=1)
            nn.init.zeros_(self.conv_last.weight)
            nn.init.zeros_(self.conv_last.bias)  # type: ignore[arg-type]

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            image, maps = x[:, :channels], x[:, channels:, ::2, ::2]
            first = self.conv_first(torch.cat([nn.functional.pixel_unshuffle(image, 2), maps], 1))
            return image + nn.functional.pixel_shuffle(self.conv_last(first + self.body(first)), 2)

    return Refiner()
