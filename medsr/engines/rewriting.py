"""The same network in fewer multiplications: equal layers that a CPU computes sooner. Nothing here imports torch.

Real-ESRGAN's networks enlarge by repeating every pixel and then convolve. Of nine taps five see a pixel that another
tap has seen: a transposed convolution with their sums takes four. The last layer has few channels, where a CPU computes
8 or 16 at once: so it computes 2 x 2 pixels at once. Sums are added in another order, so results differ in their last
bits.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from medsr.core.types import Array

PIXEL_BY_PIXEL = ("Add", "PRelu", "Relu")
FEW = 4
"""Channels of a result: with more of them a CPU computes one pixel as fast as its share of four."""


def rewrite(model: Any) -> Any:
    """A copy of OpenVINO's `model` that computes the same sooner on a CPU; the model itself where nothing is gained."""
    if not any(_repeated(layer) for layer in _convolutions(model)):
        return model
    model = model.clone()
    enlarging = [layer for layer in _convolutions(model) if _repeated(layer)]
    names = {layer.get_friendly_name() for layer in enlarging}
    for layer in enlarging:
        _transpose(layer)
    last = _last(model, names)
    if last is not None:
        _fourfold(last)
    model.validate_nodes_and_infer_types()
    return model


def _convolutions(model: Any) -> list[Any]:
    return [layer for layer in model.get_ordered_ops() if _is_plain(layer)]


def _is_plain(layer: Any) -> bool:
    """Whether it is a convolution of 3 x 3 in fp32 that keeps the size."""
    if layer.get_type_name() != "Convolution" or layer.input_value(1).get_node().get_type_name() != "Constant":
        return False
    wanted = {"strides": [1, 1], "dilations": [1, 1], "pads_begin": [1, 1], "pads_end": [1, 1]}
    attributes, weights = layer.get_attributes(), _weights(layer)
    keeps_size = all(list(attributes[name]) == wanted[name] for name in wanted)
    return keeps_size and weights.shape[2:] == (3, 3) and weights.dtype == np.float32


def _weights(layer: Any) -> Array:
    """Of a convolution whose weights are constant: (out, in, height, width)."""
    weights: Array = layer.input_value(1).get_node().data
    return weights


def _repeated(layer: Any) -> bool:
    """Whether a convolution's input is an image whose every pixel was made 2 x 2."""
    source = layer.input_value(0).get_node()
    if source.get_type_name() != "Interpolate" or len(source.output(0).get_target_inputs()) != 1:
        return False
    attributes, factors = source.get_attributes(), source.input_value(1).get_node()
    wanted = {
        "mode": "nearest",
        "shape_calculation_mode": "scales",
        "coordinate_transformation_mode": "asymmetric",
        "nearest_mode": "floor",
    }
    return (
        source.get_input_size() == 2
        and all(attributes.get(name) == wanted[name] for name in wanted)
        and not any((*attributes["pads_begin"], *attributes["pads_end"]))
        and factors.get_type_name() == "Constant"
        and factors.data.tolist() == [1, 1, 2, 2]
    )


def _transpose(layer: Any) -> None:
    """Put a transposed convolution in the place of an enlargement and the convolution that follows it."""
    from openvino import opset13 as ops

    sums = np.array([[0, 0, 1], [0, 1, 1], [1, 1, 0], [1, 0, 0]], np.float32)
    weights = np.einsum("ut,vs,oits->iouv", sums, sums, _weights(layer))
    image = layer.input_value(0).get_node().input_value(0)
    constant = ops.constant(np.ascontiguousarray(weights, np.float32))
    transposed = ops.convolution_backprop_data(image, constant, [2, 2], pads_begin=[1, 1], pads_end=[1, 1])
    _replace(layer, transposed)


def _fourfold(layer: Any) -> None:
    """Let a convolution compute 2 x 2 pixels at once, as channels that are then put in their places."""
    from openvino import opset13 as ops

    weights = _weights(layer)
    wide = np.zeros((len(weights), 2, 2, weights.shape[1], 4, 4), np.float32)
    for down, right in np.ndindex(2, 2):
        wide[:, down, right, :, down : down + 3, right : right + 3] = weights
    constant = ops.constant(wide.reshape(-1, *wide.shape[3:]))
    blocks = ops.convolution(layer.input_value(0), constant, [2, 2], [1, 1], [1, 1], [1, 1])
    blocks.set_friendly_name(layer.get_friendly_name() + "/blocks")
    _replace(layer, ops.depth_to_space(blocks, "depth_first", 2))


def _replace(layer: Any, other: Any) -> None:
    readers = list(layer.output(0).get_target_inputs())
    other.set_friendly_name(layer.get_friendly_name())
    for reader in readers:
        reader.replace_source_output(other.output(0))


def _last(model: Any, enlarging: set[str]) -> Any:
    """The convolution that gives the result, where one of those layers before it makes height and width even."""
    last = None
    layer = model.output(0).get_node().input_value(0).get_node()
    while layer.get_type_name() in PIXEL_BY_PIXEL or _is_plain(layer):
        if last is None and _is_plain(layer):
            last = layer
        layer = layer.input_value(0).get_node()
    enlarged = layer.get_friendly_name() in enlarging
    return last if last is not None and enlarged and len(_weights(last)) <= FEW else None
