"""Discriminators by name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from medsr.nets import upstream

if TYPE_CHECKING:
    from torch import nn


def unet_sn(channels: int = 3, features: int = 64) -> nn.Module:
    """Real-ESRGAN's U-Net with skip connections and spectral normalisation; 4,376,897 parameters at 64 features.

    (B, channels, H, W), H and W multiples of 8, to one logit a pixel, (B, 1, H, W).
    """
    net: nn.Module = upstream.unet_discriminator_sn()(channels, features, True)
    return net


BUILDERS = {"unet-sn": unet_sn}
