"""Generators by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from medsr.networks import upstream
from medsr.networks.fuser import fuser
from medsr.networks.rdn import rdn, rrdn
from medsr.networks.refiner import refiner
from medsr.networks.rrdb_rfa import rrdb_aggregated
from medsr.networks.srresnet import residual_in_residual, srresnet

if TYPE_CHECKING:
    from torch import nn

ALIGNMENT = {1: 4, 2: 2, 3: 1, 4: 1, 8: 1}
"""Height and width must be multiples of this: RRDBNet folds pixels into channels for scales 1 and 2."""


def rrdb(scale: int, channels: int = 3, features: int = 64, blocks: int = 23, growth: int = 32) -> nn.Module:
    """RRDBNet (ESRGAN, Real-ESRGAN): (B, channels, H, W) in [0, 1] to (B, channels, scale H, scale W).

    The defaults at scale 4 are P1's generator, 16,697,987 parameters.
    """
    net: nn.Module = upstream.rrdbnet()(channels, channels, scale, features, blocks, growth)
    return net


BUILDERS: dict[str, Callable[..., nn.Module]] = {
    "rrdb": rrdb,
    "rrdb-aggregated": rrdb_aggregated,
    "srresnet": srresnet,
    "residual-in-residual": residual_in_residual,
    "rdn": rdn,
    "rrdn": rrdn,
    "refiner": refiner,
}
FUSERS: dict[str, Callable[..., nn.Module]] = {"fuser": fuser}
"""No generators: they fuse what one made of two planes of a volume."""
