"""RRDBNet, the generator of ESRGAN and Real-ESRGAN, and its weights made fit for other colours and scales."""

from __future__ import annotations

import math

from torch import Tensor, nn

from medsr.networks import upstream


def rrdb(scale: int, channels: int = 3, features: int = 64, blocks: int = 23, growth: int = 32) -> nn.Module:
    """RRDBNet (ESRGAN, Real-ESRGAN): (B, channels, H, W) in [0, 1] to (B, channels, scale H, scale W).

    The defaults at scale 4 are P1's generator, 16,697,987 parameters.
    """
    net: nn.Module = upstream.rrdbnet()(channels, channels, scale, features, blocks, growth)
    return net


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
