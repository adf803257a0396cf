"""Freshly built generators that begin close to an interpolator, which saves the first thousands of iterations.

The trunk's last layer is zeroed (the residual branch starts silent, as in Fixup initialisation, Zhang et al. 2019), and
the outer convolutions pass their inputs on: what remains is bilinear interpolation by the sub-pixel convolutions,
nearest-neighbour in an RRDBNet. Parameter names are unchanged.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

NOISE = 0.1
"""Of the usual initialisation, kept where features would else be copies of each other."""


@torch.no_grad()
def rrdb(net: Any) -> None:
    """RRDBNet's kind: nearest-neighbour enlargement between convolutions, in place."""
    for conv in (net.conv_first, net.conv_up1, net.conv_up2, net.conv_hr, net.conv_last):
        conv.weight.mul_(NOISE)
        conv.bias.zero_()
    _silence(net.conv_body)
    carried = _pass_inputs(net.conv_first.weight)
    for conv in (net.conv_up1, net.conv_up2, net.conv_hr):
        for k in range(len(carried)):
            conv.weight[k, k, 1, 1] += 1
    # pixel_unshuffle keeps a colour's sub-pixels together
    _gather(net.conv_last.weight, carried, net.conv_first.weight.shape[1])


@torch.no_grad()
def srresnet(net: Any) -> None:
    """SRResNet's kind, in place: convolution, PReLU, trunk, sub-pixel convolutions with PReLU, a last convolution."""
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


@torch.no_grad()
def rdn(net: Any) -> None:
    """RDN's kind, in place: a convolution, trunk, then to the colours by sub-pixel convolutions."""
    carried = _pass_evenly(net.conv_first)
    _silence(net.fusion[-1] if hasattr(net, "fusion") else net.conv_body)
    colours = net.conv_first.weight.shape[1]
    _sub_pixels(net.up, [[k for k, colour in enumerate(carried) if colour == c] for c in range(colours)])


def _sub_pixels(up: nn.Sequential, carriers: list[list[int]]) -> None:
    """Let every step interpolate: output n of the first is the mean of the inputs `held[n]`, then n is n."""
    for index, layer in enumerate(up):
        if not isinstance(layer, nn.Conv2d):
            continue
        _silence(layer)
        shuffle = up[index + 1] if index + 1 < len(up) else None
        if isinstance(shuffle, nn.PixelShuffle):
            step = int(shuffle.upscale_factor)
            for n, inputs in enumerate(carriers):
                for sub_pixel in range(step * step):
                    kernel = _bilinear(sub_pixel // step, step)[:, None] * _bilinear(sub_pixel % step, step)[None]
                    layer.weight[n * step * step + sub_pixel, inputs] += kernel / len(inputs)
            carriers = [[n] for n in range(len(carriers))]
        else:
            for n in range(len(carriers)):
                layer.weight[n, n, 1, 1] += 1


def _bilinear(index: int, step: int) -> Tensor:
    """Three taps for one of `step` sub-pixels."""
    offset = (index + 0.5) / step - 0.5
    return torch.tensor([max(0.0, -offset), 1 - abs(offset), max(0.0, offset)])


def _silence(conv: Any) -> None:
    conv.weight.zero_()
    conv.bias.zero_()


def _gather(weight: Tensor, carried: list[int], inputs: int) -> None:
    """Let every colour be the mean of the features that carry it."""
    colours, middle = weight.shape[0], weight.shape[2] // 2
    for colour in range(colours):
        carriers = [k for k, source in enumerate(carried) if source // (inputs // colours) == colour]
        weight[colour, carriers, middle, middle] += 1 / max(1, len(carriers))


def _pass_evenly(conv: Any) -> list[int]:
    """Let every feature carry one colour; what makes them different adds up to nothing over those of a colour."""
    features, colours, middle = conv.weight.shape[0], conv.weight.shape[1], conv.weight.shape[2] // 2
    conv.weight.mul_(NOISE)
    conv.bias.zero_()
    carried = [k % colours for k in range(features)]
    for colour in range(colours):
        carriers = range(colour, features, colours)
        conv.weight[carriers] -= conv.weight[carriers].mean(0, keepdim=True)
        conv.weight[carriers, colour, middle, middle] += 1
    return carried


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
