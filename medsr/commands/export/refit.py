"""The last layer of a quantised network, fitted anew: it makes up for what int8 takes off or adds on the whole.

int8 errs in one direction where it rounds away weak activations, so that detail comes out weaker than in fp32. The last
layer stays in fp32; least squares on the calibration images choose its weights so that the network gives again what it
gave in fp32. It stays as it is where that does not come closer on pieces left out of the fit.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from medsr.commands.export import graph
from medsr.core.types import Array

STAY = 1e-4
"""How strongly weights are held where they are, as a share of the mean energy of the layer's inputs."""
PIXELS = 3000
"""So many of each piece take part in the fit."""


@dataclass(frozen=True)
class Reference:
    """A model in fp32 on pieces, (1, C, H, W): what its last convolution gives for the first three quarters, which are
    to be fitted, and the results for the last, which judges."""

    fit: list[tuple[Array, Array]]
    validation: list[tuple[Array, Array]]

    @classmethod
    def of(cls, model: Any, pieces: list[Array]) -> Reference:
        """Of OpenVINO's model."""
        last, result = (graph.values_of(model, [output]) for output in (_last(model).output(0), graph.result(model)))
        count = len(pieces) * 3 // 4
        return cls(
            [(piece, last(piece)[0]) for piece in pieces[:count]],
            [(piece, result(piece)[0]) for piece in pieces[count:]],
        )


def refit_last_layer(quantised: Any, reference: Reference) -> Any:
    """OpenVINO's `quantised` model with its last convolution fitted to the `reference`.

    Returns `quantised` itself where the fit does not help.
    """
    rng = np.random.default_rng(0)
    layer = _last(quantised)
    weights = graph.constant(layer.input_value(1))
    if weights is None or weights.shape[2] != weights.shape[3] or tuple(layer.get_attributes()["strides"]) != (1, 1):
        return quantised
    inside = graph.values_of(quantised, [layer.input_value(0), layer.output(0)])
    size = weights[0].size
    energy, pull = np.zeros((size + 1, size + 1)), np.zeros((size + 1, len(weights)))
    for piece, goal in reference.fit:
        features, result = inside(piece)
        places = rng.integers(0, features.shape[2], PIXELS), rng.integers(0, features.shape[3], PIXELS)
        rows = _rows(features, weights.shape[2], places)
        residual = (goal - result)[0][:, places[0], places[1]].T
        energy += rows.T @ rows
        pull += rows.T @ residual
    energy[np.diag_indices(size + 1)] += STAY * np.trace(energy) / (size + 1)
    change = np.linalg.solve(energy, pull)
    better = _changed(quantised, weights + change[:-1].T.reshape(weights.shape), change[-1])
    before, after = (_distance(model, reference) for model in (quantised, better))
    return better if after < before else quantised


def _last(model: Any) -> Any:
    return graph.convolutions(model)[-1]


def _rows(features: Array, side: int, places: Any) -> Array:
    """What a convolution of that side, bordered by zeros, takes in at `places` (rows, columns) of (1, C, H, W)."""
    edge = side // 2
    padded = np.pad(features[0], ((0, 0), (edge, edge), (edge, edge)))
    windows = sliding_window_view(padded, (side, side), axis=(1, 2)).transpose(1, 2, 0, 3, 4)
    rows = windows[places].reshape(len(places[0]), -1)
    return np.concatenate([rows, np.ones((len(rows), 1), rows.dtype)], axis=1)


def _changed(model: Any, weights: Any, bias: Any) -> Any:
    """A copy of the model whose last convolution has these weights, and this much more bias."""
    from openvino import opset13 as ops

    copy = model.clone()
    layer = _last(copy)
    readers = list(layer.output(0).get_target_inputs())
    layer.input(1).replace_source_output(ops.constant(weights.astype(np.float32)).output(0))
    corrected = ops.add(layer, ops.constant(bias.astype(np.float32)[None, :, None, None]))
    for reader in readers:
        reader.replace_source_output(corrected.output(0))
    copy.validate_nodes_and_infer_types()
    return copy


def _distance(model: Any, reference: Reference) -> float:
    """Root of the mean squared difference between a model's results and the reference's."""
    result = graph.values_of(model, [graph.result(model)])
    return float(np.sqrt(np.mean([np.mean((result(piece)[0] - goal) ** 2) for piece, goal in reference.validation])))
