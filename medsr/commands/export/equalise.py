"""The same network with activations of like size, so that 8 bits tell them apart.

A convolution in int8 has one step for all channels that it reads. Channels of small values then have few levels left,
and so have whole inputs beside one of large values. Here each channel is multiplied by a constant, and the weights that
read it are divided by it (after SmoothQuant, Xiao et al. 2022). In fp32 nothing changes but the last bits. What a ReLU
gives is multiplied by the weights that make it. What a skip connection carries is multiplied where it becomes int8.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from medsr.commands.export import graph
from medsr.core.types import Array
from medsr.engines.bf16 import TRUNK

OF_SUMS, OF_RELUS = 1.0, 0.25
"""How far the channels of one input are brought to the same size: 0 leaves them, 1 makes all the same. More would be
finer for what calibrated, and cut off sooner what goes beyond it."""
ROOM = 1.2
"""How much larger than any that calibrated the values in an image to come may be."""
LEAST = 0.01
"""A channel counts as at least so large, in parts of the largest: an image to come may wake one that gave nothing."""
MARK = "/equalised"
"""Ends the name of what multiplies a skip connection's values."""
LIMITS_BEFORE, LIMITS_AFTER = (1, 2), (3, 4)
"""Inputs of the layer that quantises: where its values begin and end, before and after it."""


@dataclass
class Values:
    """What one layer gives (`output`) to convolutions of the trunk.

    `ports`: the inputs of layers by which it reaches them. `largest`: of each channel's absolute values.
    """

    output: Any
    ports: list[Any]
    largest: Array

    @property
    def name(self) -> str:
        return _name(self.output)

    @property
    def of_relu(self) -> bool:
        """Whether a ReLU gives it, constants can go into the weights before that, and nothing else reads it."""
        layer = self.output.get_node()
        if layer.get_type_name() not in ("PRelu", "Relu") or len(self.ports) < len(self.output.get_target_inputs()):
            return False
        bias_sum = layer.input_value(0).get_node()
        if bias_sum.get_type_name() != "Add" or graph.constant(bias_sum.input_value(1)) is None:
            return False
        convolution = bias_sum.input_value(0).get_node()
        return (
            convolution.get_type_name() == "Convolution"
            and graph.constant(convolution.input_value(1)) is not None
            and len(graph.readers(convolution)) == len(graph.readers(bias_sum)) == 1
        )


def equalise(model: Any, crops: list[Array]) -> Any:
    """A copy of OpenVINO's fp32 `model`, whose trunk's inputs are of like size on `crops`, (1, C, H, W) each."""
    model = model.clone()
    for values in _groups(model, crops):
        top = max(float(part.largest.max()) for part in values)
        for part in values if top > 0 else ():
            _multiply(part, top)
    model.validate_nodes_and_infer_types()
    return model


def widen(quantised: Any) -> None:
    """Give the values that become int8 room: an image to come may have larger ones than any that calibrated."""
    for layer in _quantisers(quantised):
        for index in LIMITS_BEFORE + LIMITS_AFTER:
            graph.multiply_constant(layer.input(index), np.full(1, ROOM, np.float32))
    quantised.validate_nodes_and_infer_types()


def fold(quantised: Any) -> None:
    """Of an equalised model in int8: multiply a skip connection in the step in which it becomes int8."""
    for layer in _quantisers(quantised):
        product = layer.input_value(0).get_node()
        if product.get_friendly_name().endswith(MARK):
            factors = graph.constant(product.input_value(1))
            assert factors is not None
            for index in LIMITS_BEFORE:
                graph.multiply_constant(layer.input(index), np.reciprocal(factors))
            layer.input(0).replace_source_output(product.input_value(0))
    quantised.validate_nodes_and_infer_types()


def _quantisers(quantised: Any) -> list[Any]:
    """The layers that bring activations, not weights, to 8 bits."""
    layers = [layer for layer in quantised.get_ordered_ops() if layer.get_type_name() == "FakeQuantize"]
    return [layer for layer in layers if graph.constant(layer.input_value(0)) is None]


def _groups(model: Any, crops: list[Array]) -> Iterator[list[Values]]:
    """What convolutions of the trunk read; what any of them reads side by side is together."""
    readers = [layer for layer in graph.trunk(model).values() if graph.constant(layer.input_value(1)) is not None]
    sources = {_name(part): part for layer in readers for part in graph.parts(layer.input_value(0))}
    together = {name: {name} for name in sources}
    for layer in readers:
        names = {_name(part) for part in graph.parts(layer.input_value(0))}
        union = set().union(*(together[name] for name in names))
        together |= dict.fromkeys(union, union)
    largest = _largest(model, list(sources.values()), crops)
    values = {
        name: Values(output, [port for port in output.get_target_inputs() if _into_trunk(port)], sizes)
        for (name, output), sizes in zip(sources.items(), largest, strict=True)
    }
    for names in {id(union): union for union in together.values()}.values():
        ordered = [values[name] for name in sources if name in names]
        if all(_reached(part) for part in ordered):
            yield ordered


def _largest(model: Any, outputs: list[Any], crops: list[Array]) -> list[Array]:
    """Of each channel of each output, the largest absolute value on the crops."""
    inside = graph.values_of(model, outputs)
    maxima = [[np.abs(value).max((0, 2, 3)) for value in inside(crop)] for crop in crops]
    return [np.max(of_crops, axis=0) for of_crops in zip(*maxima, strict=True)]


def _into_trunk(port: Any) -> bool:
    """Whether what this input of a layer reads goes to convolutions of the trunk, and nowhere else."""
    layer = port.get_node()
    if graph.joins_channels(layer):
        return all(_into_trunk(reader) for reader in layer.output(0).get_target_inputs())
    return bool(TRUNK.search(layer.get_friendly_name())) and layer.get_type_name() == "Convolution"


def _reached(values: Values) -> bool:
    """Whether all convolutions that read it can be told apart from what else reads it."""
    others = [port for port in values.output.get_target_inputs() if not _into_trunk(port)]
    return bool(values.ports) and not any(map(_feeds_trunk, others))


def _feeds_trunk(port: Any) -> bool:
    """Whether what this input of a layer reads goes to any convolution of the trunk."""
    layer = port.get_node()
    if graph.joins_channels(layer):
        return any(map(_feeds_trunk, layer.output(0).get_target_inputs()))
    return _into_trunk(port)


def _multiply(values: Values, top: float) -> None:
    """Bring a layer's values near `top`, and let who reads them undo it."""
    from openvino import opset13 as ops

    own = max(float(values.largest.max()), LEAST * top)
    sizes = np.maximum(values.largest, LEAST * own)
    exponent = OF_RELUS if values.of_relu else OF_SUMS
    factors = (top / own * (own / sizes) ** exponent).astype(np.float32)
    for layer, start in _readers(values):
        weights = graph.constant(layer.input_value(1))
        assert weights is not None
        weights[:, start : start + len(factors)] /= factors[None, :, None, None]
        graph.set_constant(layer.input(1), weights)
    if values.of_relu:
        bias_sum = values.output.get_node().input_value(0).get_node()
        graph.multiply_constant(bias_sum.input(1), factors[None, :, None, None])
        graph.multiply_constant(bias_sum.input_value(0).get_node().input(1), factors[:, None, None, None])
        return
    product = ops.multiply(values.output, ops.constant(factors[None, :, None, None]))
    product.set_friendly_name(values.name + MARK)
    for port in values.ports:
        port.replace_source_output(product.output(0))


def _readers(values: Values) -> Iterator[tuple[Any, int]]:
    """The convolutions that read it, and at which channel of theirs it begins."""
    waiting = list(values.ports)
    layers = {}
    while waiting:
        layer = waiting.pop().get_node()
        if graph.joins_channels(layer):
            waiting.extend(layer.output(0).get_target_inputs())
        else:
            layers[layer.get_friendly_name()] = layer
    for layer in layers.values():
        start = 0
        for part in graph.parts(layer.input_value(0)):
            if _name(part) == values.name:
                yield layer, start
            start += part.get_partial_shape()[1].get_length()


def _name(output: Any) -> str:
    return f"{output.get_node().get_friendly_name()}:{output.get_index()}"
