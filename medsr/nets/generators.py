"""Generators by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from medsr.nets import upstream
from medsr.nets.aggregation import rrdb_aggregated
from medsr.nets.rdn import rdn, rrdn
from medsr.nets.refiner import refiner
from medsr.nets.srresnet import residual_in_residual, srresnet

if TYPE_CHECKING:
    from torch import Tensor, nn

ALIGNMENT = {1: 4, 2: 2, 3: 1, 4: 1, 8: 1}
"""Height and width must be multiples of this: RRDBNet folds pixels into channels for scales 1 and 2."""


def rrdb(scale: int, channels: int = 3, features: int = 64, blocks: int = 23, growth: int = 32) -> nn.Module:
    """RRDBNet (ESRGAN, Real-ESRGAN): (B, channels, H, W) in [0, 1] to (B, channels, scale H, scale W).

    The defaults at scale 4 are P1's generator, 16,697,987 parameters.
    """
    net: nn.Module = upstream.rrdbnet()(channels, channels, scale, features, blocks, growth)
    return net


def start_near_interpolator(net: Any) -> None:
    """Reset a freshly built RRDBNet so that it begins close to an interpolator.

    The trunk's last convolution is zeroed (the residual branch starts silent, as in Fixup initialisation, Zhang et al.
    2019), the other convolutions outside the trunk pass their inputs on, and the last one averages what belongs to
    its colour. Saves the first thousands of iterations of training from scratch; parameter names are unchanged.
    """
    import torch

    with torch.no_grad():
        outer = (net.conv_first, net.conv_up1, net.conv_up2, net.conv_hr, net.conv_last)
        for conv in outer:
            conv.weight.mul_(0.1)
            conv.bias.zero_()
        net.conv_body.weight.zero_()
        net.conv_body.bias.zero_()
        features, inputs = net.conv_first.weight.shape[:2]
        colours = net.conv_last.weight.shape[0]
        carried = _pass_inputs(net.conv_first.weight)
        for conv in (net.conv_up1, net.conv_up2, net.conv_hr):
            for k in range(features):
                conv.weight[k, k, 1, 1] += 1
        per_colour = inputs // colours  # pixel_unshuffle keeps a colour's sub-pixels together
        for colour in range(colours):
            held = [k for k in range(features) if carried[k] // per_colour == colour]
            net.conv_last.weight[colour, held, 1, 1] += 1 / max(1, len(held))


def _pass_inputs(weight: Tensor) -> list[int]:
    """Let every feature carry one input; the last incomplete round carries neighbours. Returns each feature's input."""
    neighbours = ((0, 1), (2, 1), (1, 0), (1, 2))
    features, inputs = weight.shape[:2]
    if features < inputs:  # too few for all: take them evenly, so that every colour is carried
        carried = [k * inputs // features for k in range(features)]
    else:
        carried = [k % inputs for k in range(features)]
    whole = features - features % inputs or features
    for k, source in enumerate(carried):
        y, x = (1, 1) if k < whole else neighbours[k % 4]
        weight[k, source, y, x] += 1
    return carried


BUILDERS: dict[str, Callable[..., nn.Module]] = {
    "rrdb": rrdb,
    "rrdb-aggregated": rrdb_aggregated,
    "srresnet": srresnet,
    "residual-in-residual": residual_in_residual,
    "rdn": rdn,
    "rrdn": rrdn,
    "refiner": refiner,
}
