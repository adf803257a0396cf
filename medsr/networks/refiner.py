"""A generator that refines an interpolated slice at its own size."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import pixel_shuffle, pixel_unshuffle

from medsr.networks.residual_block import ResidualBlockNoBN

FOLDS = (1, 2, 4)


def refiner(scale: int = 1, channels: int = 1, features: int = 64, blocks: int = 12, fold: int = 2) -> nn.Module:
    """(B, channels + 2, H, W) to (B, channels, H, W), H and W multiples of `fold`: what was blurred, sharpened.

    The last two inputs are constant maps that say how coarse rows and columns were acquired
    (`thick_slices.factor_maps`). EDSR's residual blocks (Lim et al. 2017), with exact sub-pixel folding around them
    (`fold` x `fold` pixels into channels) and a skip from input to output. A fresh one returns the
    slice it was given. As it works at the target size, one network serves every real factor, and axes of different
    factors. Twice the fold and twice the features take the same time, see twice as far and have four times the
    parameters.
    """
    if scale != 1:
        raise ValueError(f"a refiner keeps the size of its input; scale {scale} is not possible")
    if fold not in FOLDS:
        raise ValueError(f"a refiner folds {' x, '.join(str(fold) for fold in FOLDS)} x pixels; not {fold} x")
    return SliceRefinerNet(channels, features, blocks, fold)


class SliceRefinerNet(nn.Module):
    """See `refiner`."""

    def __init__(self, channels: int, features: int, blocks: int, fold: int) -> None:
        super().__init__()
        self.channels, self.fold = channels, fold
        self.conv_first = nn.Conv2d(fold**2 * channels + 2, features, 3, padding=1)
        self.body = nn.Sequential(*(ResidualBlockNoBN(features) for _ in range(blocks)))
        self.conv_last = nn.Conv2d(features, fold**2 * channels, 3, padding=1)
        nn.init.zeros_(self.conv_last.weight)
        nn.init.zeros_(self.conv_last.bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        image, maps = x[:, : self.channels], x[:, self.channels :, :: self.fold, :: self.fold]
        first = self.conv_first(torch.cat([pixel_unshuffle(image, self.fold), maps], 1))
        return image + pixel_shuffle(self.conv_last(first + self.body(first)), self.fold)
