"""A generator that refines an interpolated slice at its own size."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import pixel_shuffle, pixel_unshuffle

from medsr.networks import upstream


def refiner(scale: int = 1, channels: int = 1, features: int = 64, blocks: int = 12) -> nn.Module:
    """(B, channels + 2, H, W), H and W even, to (B, channels, H, W): what interpolation blurred, sharpened.

    The last two inputs are constant maps that say how coarse rows and columns were acquired
    (`thick_slices.factor_maps`). EDSR's residual blocks (Lim et al. 2017) at half the resolution, with exact
    sub-pixel folding around them and a skip from input to output. A fresh one returns the slice it was given. As it
    works at the target size, one network serves every real factor, and axes of different factors.
    """
    if scale != 1:
        raise ValueError(f"a refiner keeps the size of its input; scale {scale} is not possible")
    return SliceRefinerNet(channels, features, blocks)


class SliceRefinerNet(nn.Module):
    """See `refiner`."""

    def __init__(self, channels: int, features: int, blocks: int) -> None:
        super().__init__()
        self.channels = channels
        block = upstream.residual_block()
        self.conv_first = nn.Conv2d(4 * channels + 2, features, 3, padding=1)
        self.body = nn.Sequential(*(block(features) for _ in range(blocks)))
        self.conv_last = nn.Conv2d(features, 4 * channels, 3, padding=1)
        nn.init.zeros_(self.conv_last.weight)
        nn.init.zeros_(self.conv_last.bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        image, maps = x[:, : self.channels], x[:, self.channels :, ::2, ::2]
        first = self.conv_first(torch.cat([pixel_unshuffle(image, 2), maps], 1))
        return image + pixel_shuffle(self.conv_last(first + self.body(first)), 2)
