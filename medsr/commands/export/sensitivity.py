"""Which layers of a quantised network cost the most, for the time that they would take in fp32."""

from __future__ import annotations

from typing import Any

import numpy as np

from medsr.commands.export import graph
from medsr.core.types import Array
from medsr.engines.bf16 import TRUNK

MANY = 100
"""Layers: of more than that, whole blocks are judged and not each layer. Real-ESRGAN's network has 345."""
JUDGES = 12
"""So many pieces judge; in a large network a quarter of them."""


def restored(quantised: Any, plain: Any, names: list[str]) -> Any:
    """A copy of the `quantised` model in which those convolutions are as in the `plain` one, in fp32."""
    model = quantised.clone()
    layers, originals = graph.trunk(model), graph.trunk(plain)
    for name in names:
        layer, original = layers[name], originals[name]
        _copy_constant(original.input_value(1), layer.input(1))
        layer.input(0).replace_source_output(_in_fp32(layer.input_value(0)))
    model.validate_nodes_and_infer_types()
    return model


def ranked(quantised: Any, plain: Any, crops: list[Array]) -> list[list[str]]:
    """The trunk's layers, from the one on whose way back to fp32 gains most for its multiplications: it has one size.

    A list of names for each: of a large network all layers of a block.
    """
    layers = graph.trunk(plain)
    units: dict[str, list[str]] = {}
    for name in layers:
        match = TRUNK.search(name)
        units.setdefault(match.group(0) if match and len(layers) > MANY else name, []).append(name)
    count = min(len(crops), JUDGES if len(layers) <= MANY else JUDGES // 4)
    # Drawn, as every nth would be of one folder and treated in one way: those come in turn.
    judges = [crops[index] for index in np.random.default_rng(0).choice(len(crops), count, replace=False)]
    truths = _results(plain, judges)

    def distance(model: Any) -> float:
        results = _results(model, judges)
        return float(np.mean([np.square(a - b).mean() for a, b in zip(results, truths, strict=True)]))

    whole = distance(quantised)
    gains = {
        unit: (whole - distance(restored(quantised, plain, names)))
        / sum(int(np.prod(layers[name].input_value(1).get_shape())) for name in names)
        for unit, names in units.items()
    }
    return [units[unit] for unit in sorted(gains, key=gains.__getitem__, reverse=True)]


def _results(model: Any, crops: list[Array]) -> list[Array]:
    result = graph.values_of(model, [graph.result(model)])
    return [result(crop)[0] for crop in crops]


def _copy_constant(source: Any, port: Any) -> None:
    values = graph.constant(source)
    assert values is not None
    graph.set_constant(port, values)


def _in_fp32(source: Any) -> Any:
    """What was there before it was quantised."""
    from openvino import opset13 as ops

    node = source.get_node()
    if node.get_type_name() == "FakeQuantize":
        return node.input_value(0)
    if not graph.joins_channels(node):
        return source
    return ops.concat([_in_fp32(node.input_value(index)) for index in range(node.get_input_size())], 1).output(0)
