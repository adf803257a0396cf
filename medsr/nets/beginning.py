"""Freshly built generators that begin close to an interpolator, which saves the first thousands of iterations."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from torch import Tensor, nn

NOISE = 0.1
"""Of the usual initialisation, kept where features would else be copies of each other."""


def start_near_interpolator(net: Any) -> None:
    """Reset a freshly built generator so that its trunk is silent and its outer convolutions pass their inputs on.

    The trunk's last layer is zeroed (the residual branch starts silent, as in Fixup initialisation, Zhang et al. 2019):
    what remains interpolates. Parameter names are unchanged. A network that keeps the size of its input
    (`nets.refiner`) begins as the identity by itself.
    """
    import torch

    with torch.no_grad():
        if hasattr(net, "conv_up1"):
            _rrdb(net)
        elif hasattr(net, "conv_last"):
            _around(net)
        else:
            _dense(net)


def _rrdb(net: Any) -> None:
    """RRDBNet: at scales 1 and 2 pixels are folded into channels first; then twice nearest neighbour and a convolution.

    A convolution behind a nearest neighbour cannot know which copy it stands on, but sees other neighbours on each: so
    three taps that are exact for parabolas still take folded pixels apart. Without folding they are bilinear.
    """
    colours = net.conv_last.weight.shape[0]
    block = math.isqrt(net.conv_first.weight.shape[1] // colours)
    carried = _pass_evenly(net.conv_first)
    _silence(net.conv_body)
    for conv in (net.conv_up1, net.conv_up2):
        after = max(1, block // 2)
        wanted = [n % (colours * after**2) for n in range(conv.weight.shape[0])]
        noise = conv.weight * NOISE if conv is net.conv_up1 else None  # else its outputs would be copies
        _silence(conv)
        for n, value in enumerate(wanted):
            colour, place = divmod(value, after**2)
            rows, columns = _three_taps(block, place // after), _three_taps(block, place % after)
            for source in range(block**2):
                held = [k for k, one in enumerate(carried) if one == colour * block**2 + source]
                held = held or [k for k, one in enumerate(carried) if one // block**2 == colour]
                if conv is net.conv_up2 and block == 1:
                    held = [n]
                kernel = rows[:, source // block, None] * columns[None, :, source % block]
                conv.weight[n, held] += kernel / max(1, len(held))
        if noise is not None:
            for value in set(wanted):
                same = [n for n, one in enumerate(wanted) if one == value]
                conv.weight[same] += noise[same] - noise[same].mean(0, keepdim=True)
        carried, block = wanted, after
    _silence(net.conv_hr)
    for k in range(len(carried)):
        net.conv_hr.weight[k, k, 1, 1] = 1
    _silence(net.conv_last)
    _gather(net.conv_last.weight, carried, colours)


def _three_taps(block: int, place: int) -> Tensor:
    """(3, block): along one axis, weights of folded pixels left, here and right, behind a nearest neighbour of 2.

    On the first copy they give sub-pixel `place` of the half block, on the second that of the other half, and both
    exactly for a parabola; without folding, linearly in between. Least squares, smallest weights.
    """
    import torch

    if block == 1:
        return torch.tensor([[0.25], [0.5], [0.25]])
    inside = np.arange(block, dtype=float)
    rows, wanted = [], []
    for power in range(3):
        left, here, right = (inside - block) ** power, inside**power, (inside + block) ** power
        rows += [np.concatenate([left, here, here]), np.concatenate([here, here, right])]
        wanted += [float(place) ** power, float(place + block // 2) ** power]
    found = np.linalg.lstsq(np.stack(rows), np.array(wanted), rcond=None)[0]
    return torch.from_numpy(found.reshape(3, block)).float()


def _around(net: Any) -> None:
    """SRResNet's kind: a convolution and PReLU, trunk, sub-pixel convolutions with PReLU, a last convolution."""
    from torch import nn

    first, norm = net.conv_first[0], net.conv_body[1]
    carried = _pass_evenly(first)
    norm.weight.zero_()
    norm.bias.zero_()
    for layer in (*net.conv_first, *net.up):
        if isinstance(layer, nn.PReLU):
            layer.weight.fill_(1.0)  # linear, to begin with
    _sub_pixels(net.up, [[k] for k in range(len(carried))])
    _silence(net.conv_last)
    _gather(net.conv_last.weight, carried, first.weight.shape[1])


def _dense(net: Any) -> None:
    """RDN's kind: a convolution, trunk, then to the colours by sub-pixel convolutions."""
    carried = _pass_evenly(net.conv_first)
    _silence(net.fusion[-1] if hasattr(net, "fusion") else net.conv_body)
    colours = net.conv_first.weight.shape[1]
    _sub_pixels(net.up, [[k for k, colour in enumerate(carried) if colour == c] for c in range(colours)])


def _sub_pixels(up: nn.Sequential, held: list[list[int]]) -> None:
    """Let every step interpolate: output n of the first is the mean of the inputs `held[n]`, then n is n."""
    from torch import nn

    for index, layer in enumerate(up):
        if not isinstance(layer, nn.Conv2d):
            continue
        _silence(layer)
        shuffle = up[index + 1] if index + 1 < len(up) else None
        if isinstance(shuffle, nn.PixelShuffle):
            step = int(shuffle.upscale_factor)
            for n, inputs in enumerate(held):
                for place in range(step * step):
                    kernel = _bilinear(place // step, step)[:, None] * _bilinear(place % step, step)[None]
                    layer.weight[n * step * step + place, inputs] += kernel / len(inputs)
            held = [[n] for n in range(len(held))]
        else:
            for n in range(len(held)):
                layer.weight[n, n, 1, 1] += 1


def _bilinear(place: int, step: int) -> Tensor:
    """Three taps for one of `step` sub-pixels."""
    import torch

    offset = (place + 0.5) / step - 0.5
    return torch.tensor([max(0.0, -offset), 1 - abs(offset), max(0.0, offset)])


def _silence(conv: Any) -> None:
    conv.weight.zero_()
    conv.bias.zero_()


def _gather(weight: Tensor, carried: list[int], inputs: int) -> None:
    """Let every colour be the mean of the features that carry it."""
    colours, middle = weight.shape[0], weight.shape[2] // 2
    for colour in range(colours):
        held = [k for k, source in enumerate(carried) if source // (inputs // colours) == colour]
        weight[colour, held, middle, middle] += 1 / max(1, len(held))


def _pass_evenly(conv: Any) -> list[int]:
    """Let every feature carry one input; what makes them different adds up to nothing over those of an input.

    Where there are fewer features than inputs, they carry some of them, evenly. Returns each feature's input.
    """
    features, inputs, middle = conv.weight.shape[0], conv.weight.shape[1], conv.weight.shape[2] // 2
    conv.weight.mul_(NOISE)
    conv.bias.zero_()
    carried = [k % inputs if features >= inputs else k * inputs // features for k in range(features)]
    for source in set(carried):
        held = [k for k, one in enumerate(carried) if one == source]
        conv.weight[held] -= conv.weight[held].mean(0, keepdim=True)
        conv.weight[held, source, middle, middle] += 1
    return carried
