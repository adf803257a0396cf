"""Activations of like size: the same network in fp32, whose layers can go to 8 bits and back."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytest.importorskip("nncf")

from medsr.commands.export import equalise as equalising
from medsr.commands.export import graph, quantise, sensitivity
from medsr.commands.export.equalise import equalise, fold, widen
from medsr.engines import conversion, openvino_engine
from medsr.networks.checkpoint import Spec

GROWTH = {"rrdb": {"growth": 4}, "rrdb-aggregated": {"growth": 4}, "rdn": {"growth": 4}, "rrdn": {"growth": 4}}
ARCHITECTURES = ["rrdb", "rrdb-aggregated", "srresnet", "residual-in-residual", "rdn", "rrdn"]


def drawn(architecture: str, scale: int = 2) -> Any:
    """A small grey network, in OpenVINO, some of whose channels are a hundred times as strong as others."""
    import torch

    torch.manual_seed(0)
    spec = Spec(architecture, scale, 1, {"features": 12, "blocks": 2} | GROWTH.get(architecture, {}))
    net = spec.build()
    with torch.no_grad():
        for name, weights in net.named_parameters():
            if name.endswith("weight") and weights.ndim == 4 and ("conv_first" in name or ".conv1" in name):
                weights *= torch.logspace(-1, 1, len(weights))[:, None, None, None]
    return conversion.to_openvino(conversion.to_onnx(net, spec))


def crops(count: int = 6) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [np.kron(rng.random((1, 1, 8, 8)), np.ones((1, 1, 3, 3))).astype(np.float32) for _ in range(count)]


def results(model: Any) -> list[np.ndarray]:
    result = graph.values_of(model, [graph.result(model)])
    return [result(crop)[0] for crop in crops(2)]


def distance(model: Any, other: Any) -> float:
    """The largest difference, in parts of the largest value."""
    images, truths = np.stack(results(model)), np.stack(results(other))
    return float(np.abs(images - truths).max() / np.abs(truths).max())


def spread(model: Any) -> float:
    """Over what the trunk's convolutions read: how much larger the largest channel's values are than the median's."""
    sources = [layer.input_value(0) for layer in graph.trunk(model).values()]
    inside = graph.values_of(model, sources)
    largest = [
        np.max([np.abs(value).max((0, 2, 3)) for value in values], axis=0)
        for values in zip(*map(inside, crops()), strict=True)
    ]
    return float(np.mean([channels.max() / np.median(channels) for channels in largest]))


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_network_stays_the_same(architecture: str) -> None:
    """Though most layers of its trunk have other weights."""
    model = drawn(architecture)
    equalised = equalise(model, crops())
    assert distance(equalised, model) < 1e-5
    before, after = graph.trunk(model), graph.trunk(equalised)
    changed = [name for name in before if (weights_of(before[name]) != weights_of(after[name])).any()]
    assert len(changed) > 0.8 * len(before)


def weights_of(layer: Any) -> np.ndarray:
    weights = graph.constant(layer.input_value(1))
    assert weights is not None
    return weights


@pytest.mark.parametrize("architecture", ["rrdb", "srresnet", "residual-in-residual"])
def test_what_a_layer_reads_is_of_like_size(architecture: str) -> None:
    model = drawn(architecture)
    assert spread(equalise(model, crops())) < 0.6 * spread(model)


@pytest.fixture(scope="module")
def plain() -> Any:
    return equalise(drawn("rrdb"), crops())


@pytest.fixture(scope="module")
def quantised(plain: Any) -> Any:
    return quantise._quantise(plain, crops())


def test_what_a_relu_gives_takes_no_multiplication(plain: Any) -> None:
    """Its constants go into the weights before it; only sums, which something else reads too, are multiplied."""
    products = [layer for layer in plain.get_ordered_ops() if layer.get_friendly_name().endswith(equalising.MARK)]
    assert {layer.input_value(0).get_node().get_type_name() for layer in products} == {"Add"}


def test_an_image_may_wake_a_channel_that_gave_nothing_while_calibrating() -> None:
    """If the weights that read it became next to nothing, int8 would cut off whatever it gives."""
    model = drawn("rrdb")
    first = graph.convolutions(model)[0]
    [bias_sum] = graph.readers(first)
    for port in (first.input(1), bias_sum.input(1)):
        values = graph.constant(port.get_source_output())
        assert values is not None
        values.reshape(12, -1)[0] = 0
        graph.set_constant(port, values)
    equalised = equalise(model, crops())
    assert distance(equalised, model) < 1e-5
    before, after = (weights_of(next(iter(graph.trunk(net).values()))) for net in (model, equalised))
    assert (np.abs(after) > 1e-4 * np.abs(before)).all()


def test_channels_side_by_side_are_told_from_rows_below_each_other() -> None:
    from openvino import opset13 as ops

    rng = np.random.default_rng(0)
    image = ops.parameter([1, 4, 24, 24], np.float32)
    top, below = (convolved(image, f"/body.0/{name}", rng) for name in ("top", "below"))
    model = openvino_engine.package().Model([convolved(ops.concat([top, below], 2), "/body.1/conv", rng)], [image])
    channels = [np.tile(crop, (1, 4, 1, 1)) for crop in crops(2)]
    before, after = (graph.values_of(net, [graph.result(net)]) for net in (model, equalise(model, channels)))
    np.testing.assert_allclose(after(channels[0])[0], before(channels[0])[0], rtol=1e-4)


def convolved(source: Any, name: str, rng: np.random.Generator) -> Any:
    """A convolution with a bias, and a ReLU."""
    from openvino import opset13 as ops

    weights, bias = (rng.normal(size=shape).astype(np.float32) for shape in ((4, 4, 3, 3), (1, 4, 1, 1)))
    layer = ops.convolution(source, ops.constant(weights), [1, 1], [1, 1], [1, 1], [1, 1])
    layer.set_friendly_name(name)
    return ops.relu(ops.add(layer, ops.constant(bias)))


def test_what_multiplies_a_skip_connection_goes_into_the_step(quantised: Any) -> None:
    folded = quantised.clone()
    fold(folded)
    multiplied = [layer for layer in folded.get_ordered_ops() if "/equalised" in layer.get_friendly_name()]
    assert not [layer for layer in multiplied if layer.get_type_name() == "Multiply"]
    assert distance(folded, quantised) < 1e-5


def test_values_in_int8_have_room_beyond_those_that_calibrated(quantised: Any) -> None:
    """Steps are wider by that, of activations alone: weights are known."""
    wide = quantised.clone()
    widen(wide)
    for layer, before in zip(activations(wide), activations(quantised), strict=True):
        for index in (1, 2, 3, 4):
            limit, narrower = graph.constant(layer.input_value(index)), graph.constant(before.input_value(index))
            assert limit is not None
            np.testing.assert_allclose(limit, equalising.ROOM * np.broadcast_to(narrower, limit.shape), rtol=1e-5)
    assert len(activations(wide)) > 5
    assert 0 < distance(wide, quantised) < 0.01


def activations(model: Any) -> list[Any]:
    """The steps in which values become int8, in the order of computing, by name."""
    layers = {
        layer.get_friendly_name(): layer for layer in model.get_ordered_ops() if layer.get_type_name() == "FakeQuantize"
    }
    return [layers[name] for name in sorted(layers) if graph.constant(layers[name].input_value(0)) is None]


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_layer_goes_back_to_fp32(architecture: str) -> None:
    """And then, with all of them, the network is what it was."""
    plain = equalise(drawn(architecture), crops())
    quantised = quantise._quantise(plain, crops())
    assert distance(quantised, plain) > 1e-5
    assert distance(sensitivity.restored(quantised, plain, []), quantised) == 0
    assert distance(sensitivity.restored(quantised, plain, list(graph.trunk(plain))), plain) < 1e-6


def test_the_layer_that_int8_spoils_most_is_the_first_to_go_back(plain: Any, quantised: Any) -> None:
    names = list(graph.trunk(plain))
    spoilt = sensitivity.restored(quantised, plain, [name for name in names if name != names[3]])
    weights = graph.constant(graph.trunk(plain)[names[3]].input_value(1))
    assert weights is not None
    graph.set_constant(graph.trunk(spoilt)[names[3]].input(1), weights * 0.5)
    assert sensitivity.ranked(spoilt, plain, crops())[0] == [names[3]]


def test_a_large_network_is_judged_by_blocks(plain: Any, quantised: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sensitivity, "MANY", 5)
    ranking = sensitivity.ranked(quantised, plain, crops())
    assert len(ranking) == 2
    assert sorted(name for names in ranking for name in names) == sorted(graph.trunk(plain))


def test_those_who_judge_are_of_all_folders_and_treated_in_all_ways(
    plain: Any, quantised: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pieces come from two folders in turn, and are treated in three ways in turn."""
    judges: set[int] = set()
    results_of = sensitivity._results

    def noted(model: Any, pieces: list[np.ndarray]) -> list[np.ndarray]:
        judges.update(int(piece.mean()) for piece in pieces)
        return results_of(model, pieces)

    monkeypatch.setattr(sensitivity, "_results", noted)
    sensitivity.ranked(quantised, plain, [np.full((1, 1, 12, 12), index, np.float32) for index in range(144)])
    assert {number % 6 for number in judges} == set(range(6))
