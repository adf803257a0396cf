"""What quantising looks up in OpenVINO's models and changes there."""

from __future__ import annotations

from typing import Any

import numpy as np

from medsr.core.types import Array
from medsr.engines import openvino_engine
from medsr.engines.bf16 import TRUNK


def convolutions(model: Any) -> list[Any]:
    """In the order of computing."""
    return [layer for layer in model.get_ordered_ops() if layer.get_type_name() == "Convolution"]


def trunk(model: Any) -> dict[str, Any]:
    """The convolutions that may be computed in int8, by name, in the order of computing."""
    named = {layer.get_friendly_name(): layer for layer in convolutions(model)}
    return {name: layer for name, layer in named.items() if TRUNK.search(name)}


def constant(source: Any) -> Array | None:
    """The values of a constant, which may be stored in fewer bits, or given another shape; None of what is computed."""
    node = source.get_node()
    while node.get_type_name() == "Convert":
        node = node.input_value(0).get_node()
    if node.get_type_name() == "Reshape":
        values = constant(node.input_value(0))
        return None if values is None or values.ndim != 1 else values[None, :, None, None]
    return np.array(node.data, np.float32) if node.get_type_name() == "Constant" else None


def readers(layer: Any) -> list[Any]:
    """The layers that compute with what a layer gives; some only ask for its shape."""
    layers = [port.get_node() for port in layer.output(0).get_target_inputs()]
    return [reader for reader in layers if reader.get_type_name() != "ShapeOf"]


def set_constant(port: Any, values: Array) -> None:
    """Let an input of a layer read a constant."""
    from openvino import opset13 as ops

    port.replace_source_output(ops.constant(np.ascontiguousarray(values, np.float32)).output(0))


def multiply_constant(port: Any, factors: Array) -> None:
    """Multiply the constant that an input of a layer reads."""
    values = constant(port.get_source_output())
    assert values is not None
    set_constant(port, values * factors)


def joins_channels(layer: Any) -> bool:
    """Whether a layer puts the channels of its inputs side by side."""
    return layer.get_type_name() == "Concat" and layer.get_attributes()["axis"] in (1, -3)


def parts(source: Any) -> list[Any]:
    """The outputs whose channels are put side by side into `source`; itself where it is not put together."""
    node = source.get_node()
    if not joins_channels(node):
        return [source]
    return [part for index in range(node.get_input_size()) for part in parts(node.input_value(index))]


def values_of(model: Any, outputs: list[Any]) -> Any:
    """A function from a model's input to the values of some of its layers."""
    part = openvino_engine.package().Model(outputs, model.get_parameters(), "part")
    compiled = openvino_engine.core().compile_model(part.clone(), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return lambda piece: list(compiled([piece]).values())


def result(model: Any) -> Any:
    """The output that is the model's result."""
    return model.output(0).get_node().input_value(0)
