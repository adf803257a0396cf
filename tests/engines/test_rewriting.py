"""The same network in fewer multiplications: the same results, to their last bits, at any size."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from medsr.engines import conversion, openvino_engine
from medsr.engines.rewriting import rewrite
from medsr.networks import weight_store
from medsr.networks.checkpoint import Spec

GROWTH = {"rrdb": {"growth": 4}, "rdn": {"growth": 4}}
BUNDLED = [name for name, entry in weight_store.entries().items() if entry.architecture == "rrdb" and entry.onnx_sha256]


def types(model: Any) -> list[str]:
    return [layer.get_type_name() for layer in model.get_ordered_ops()]


def results(model: Any, batch: np.ndarray) -> np.ndarray:
    compiled = openvino_engine.core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return next(iter(compiled([batch]).values()))


def drawn(architecture: str, scale: int, channels: int) -> Any:
    """A small network with drawn weights, in OpenVINO."""
    import torch

    torch.manual_seed(0)
    spec = Spec(architecture, scale, channels, {"features": 12, "blocks": 1} | GROWTH.get(architecture, {}))
    return conversion.to_openvino(conversion.to_onnx(spec.build(), spec))


@pytest.mark.parametrize("name", BUNDLED)
@pytest.mark.parametrize("shape", [(1, 20, 20), (2, 12, 36), (1, 44, 28)])
def test_a_bundled_network_gives_what_it_gave(name: str, shape: tuple[int, int, int]) -> None:
    model, card = openvino_engine.read(weight_store.get(name).path.with_suffix(".onnx"))
    batch = np.random.default_rng(0).random((shape[0], card["spec"]["channels"], *shape[1:]), dtype=np.float32)
    expected, result = results(model, batch), results(rewrite(model), batch)
    assert result.shape == expected.shape
    assert np.abs(result - expected).max() < 1e-5


def test_enlargements_and_the_last_layer_take_fewer_multiplications() -> None:
    model, _ = openvino_engine.read(weight_store.get("medsr-retina-x2").path.with_suffix(".onnx"))
    before, after = types(model), types(rewrite(model))
    assert before.count("Interpolate") == 2
    assert "Interpolate" not in after
    assert after.count("ConvolutionBackpropData") == 2
    assert after.count("Convolution") == before.count("Convolution") - 2
    assert after.count("DepthToSpace") == before.count("DepthToSpace") + 1


@pytest.mark.parametrize("scale", [1, 2, 4])
@pytest.mark.parametrize("channels", [1, 3, 5])
def test_any_rrdb_gives_what_it_gave(scale: int, channels: int) -> None:
    model = drawn("rrdb", scale, channels)
    batch = np.random.default_rng(1).random((1, channels, 12, 20), dtype=np.float32)
    assert np.abs(results(rewrite(model), batch) - results(model, batch)).max() < 1e-5
    last = types(rewrite(model)).count("DepthToSpace") - types(model).count("DepthToSpace")
    assert last == (1 if channels <= 4 else 0)


@pytest.mark.parametrize(("architecture", "scale"), [("srresnet", 4), ("refiner", 1), ("rdn", 3)])
def test_a_network_that_enlarges_otherwise_is_left_as_it_is(architecture: str, scale: int) -> None:
    model = drawn(architecture, scale, 1)
    assert rewrite(model) is model


def test_the_model_itself_is_not_changed() -> None:
    model = drawn("rrdb", 4, 3)
    before = types(model)
    rewrite(model)
    assert types(model) == before


REPEATED = {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}


def enlarging(
    factors: tuple[float, ...] = (1, 1, 2, 2), padding: int = 1, mode: str = "nearest", **attributes: Any
) -> Any:
    """An enlargement, and a convolution behind it."""
    from openvino import Model
    from openvino import opset13 as ops

    image = ops.parameter([1, 2, 6, 6], np.float32, name="image")
    large = ops.interpolate(
        image, ops.constant(np.array(factors, np.float32)), mode, "scales", **(REPEATED | attributes)
    )
    weights = np.random.default_rng(0).random((2, 2, 3, 3), dtype=np.float32)
    pads = [padding, padding]
    return Model([ops.convolution(large, ops.constant(weights), [1, 1], pads, pads, [1, 1])], [image], "enlarged")


@pytest.mark.parametrize(
    "other",
    [
        {"mode": "linear_onnx"},
        {"coordinate_transformation_mode": "half_pixel"},
        {"nearest_mode": "ceil"},
        {"factors": (1, 1, 3, 3)},
        {"pads_begin": [0, 0, 1, 0], "pads_end": [0, 0, 0, 0]},
        {"padding": 0},
    ],
)
def test_another_enlargement_is_left_as_it_is(other: dict[str, Any]) -> None:
    """Only pixels that were repeated 2 x 2 may be merged with the convolution behind them."""
    batch = np.random.default_rng(1).random((1, 2, 6, 6), dtype=np.float32)
    repeated = enlarging()
    assert types(rewrite(repeated)).count("ConvolutionBackpropData") == 1
    np.testing.assert_allclose(results(rewrite(repeated), batch), results(repeated, batch), rtol=1e-5)
    model = enlarging(**other)
    assert rewrite(model) is model


def test_a_transposed_convolution_of_the_network_itself_may_give_odd_sizes() -> None:
    """Then the last layer cannot compute 2 x 2 pixels at once."""
    from openvino import Model
    from openvino import opset13 as ops

    weights = np.random.default_rng(0).random((2, 2, 3, 3), dtype=np.float32)
    image = ops.parameter([1, 2, 6, 6], np.float32, name="image")
    large = ops.interpolate(image, ops.constant(np.array([1, 1, 2, 2], np.float32)), "nearest", "scales", **REPEATED)
    first = ops.convolution(large, ops.constant(weights), [1, 1], [1, 1], [1, 1], [1, 1])
    odd = ops.convolution_backprop_data(first, ops.constant(weights), [2, 2], pads_begin=[1, 1], pads_end=[1, 1])
    model = Model([ops.convolution(odd, ops.constant(weights), [1, 1], [1, 1], [1, 1], [1, 1])], [image], "odd")
    batch = np.random.default_rng(1).random((1, 2, 6, 6), dtype=np.float32)
    before, after = results(model, batch), results(rewrite(model), batch)
    assert before.shape == after.shape == (1, 2, 23, 23)
    np.testing.assert_allclose(after, before, rtol=1e-5)
