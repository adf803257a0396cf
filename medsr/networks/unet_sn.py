"""Real-ESRGAN's discriminator: a U-Net with spectral normalisation (Wang et al. 2021, section 3.3)."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils import spectral_norm


class UNetDiscriminatorSN(nn.Module):
    """(B, channels, H, W), H and W multiples of 8, to one logit a pixel, (B, 1, H, W).

    Three strided convolutions lead down, three convolutions after bilinear enlargement lead up, what came down is
    added. The parameters have the official weights' names; those of normalised convolutions end in `_orig`, `_u`, `_v`.
    """

    def __init__(self, channels: int, features: int) -> None:
        super().__init__()
        self.conv0 = nn.Conv2d(channels, features, 3, 1, 1)
        self.conv1 = _down(features, 2 * features)
        self.conv2 = _down(2 * features, 4 * features)
        self.conv3 = _down(4 * features, 8 * features)
        self.conv4 = _level(8 * features, 4 * features)
        self.conv5 = _level(4 * features, 2 * features)
        self.conv6 = _level(2 * features, features)
        self.conv7 = _level(features, features)
        self.conv8 = _level(features, features)
        self.conv9 = nn.Conv2d(features, 1, 3, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        levels = [_leaky(self.conv0(x))]
        for down in (self.conv1, self.conv2, self.conv3):
            levels.append(_leaky(down(levels[-1])))
        maps = levels.pop()
        for up in (self.conv4, self.conv5, self.conv6):
            larger = functional.interpolate(maps, scale_factor=2, mode="bilinear", align_corners=False)
            maps = _leaky(up(larger)) + levels.pop()
        return self.conv9(_leaky(self.conv8(_leaky(self.conv7(maps)))))  # type: ignore[no-any-return]


def _down(inputs: int, outputs: int) -> nn.Module:
    return spectral_norm(nn.Conv2d(inputs, outputs, 4, 2, 1, bias=False))


def _level(inputs: int, outputs: int) -> nn.Module:
    return spectral_norm(nn.Conv2d(inputs, outputs, 3, 1, 1, bias=False))


def _leaky(maps: Tensor) -> Tensor:
    return functional.leaky_relu(maps, 0.2, inplace=True)
