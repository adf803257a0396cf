"""The last layer makes up for what int8 takes off; and int8 that has nothing in int8 is not offered."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("openvino")

from medsr.commands.export import graph, quantise, refit
from medsr.core.resources import resource_dir
from medsr.engines.openvino_engine import read


@pytest.fixture(scope="module")
def pieces() -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [np.kron(rng.random((1, 1, 6, 6)), np.ones((1, 1, 4, 4))).astype(np.float32) for _ in range(8)]


@pytest.mark.slow
def test_a_last_layer_that_was_weakened_gives_again_what_it_gave(pieces: list[np.ndarray]) -> None:
    reference = read(resource_dir("pretrained") / "medsr-cxr-x2.onnx")[0]
    weights = graph.constant(refit._last(reference).input_value(1))
    assert weights is not None
    weakened = refit._changed(reference, weights * 0.9, np.zeros(len(weights)))
    expected = refit.Reference.of(reference, pieces)
    before = refit._distance(weakened, expected)
    fitted = refit.refit_last_layer(weakened, expected)
    assert refit._distance(fitted, expected) < before / 20


def test_a_model_that_cannot_be_mended_stays_as_it_is(pieces: list[np.ndarray]) -> None:
    reference = read(resource_dir("pretrained") / "medsr-cxr-x2.onnx")[0]
    assert refit.refit_last_layer(reference, refit.Reference.of(reference, pieces)) is reference


@pytest.mark.parametrize("shares", [quantise.SHARES, quantise.SHARES_OF_LARGE])
@pytest.mark.parametrize("layers", [1, 2, 7, 24, 30])
def test_some_of_the_trunk_is_in_int8_whatever_is_left_out(layers: int, shares: tuple[float, ...]) -> None:
    choices = quantise._choices([[str(number)] for number in range(layers)], shares)
    assert [len(choice) for choice in choices] == sorted({len(choice) for choice in choices})
    assert choices[0] == []
    assert len(choices[-1]) <= 0.6 * layers
