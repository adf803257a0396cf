"""How much of a network's change an input gets, fitted."""

from __future__ import annotations

import numpy as np
import pytest

from medsr.core.resample import resize
from medsr.engines.base import Compute
from medsr.images.network import Network
from medsr.training.strength import StrengthSample, draw, fit, gain, measure
from medsr.volumes.models import open_model


def _sample(fine: float, finest: float, best: float) -> StrengthSample:
    """One whose result comes closest to the truth with that share of its change."""
    return StrengthSample(fine, finest, 1e-4, best * 1e-4, 2e-4, 0.0, False)


def test_the_share_that_comes_closest_to_the_truth_is_found() -> None:
    rng = np.random.default_rng(0)
    numbers = np.stack([rng.uniform(-6, -2, 200), rng.uniform(-16, -12, 200)], axis=1)
    best = np.clip(0.6 - 0.25 * (numbers[:, 0] + 4) + 0.03 * (numbers[:, 1] + 14), 0, 1)
    samples = [_sample(*pair, share) for pair, share in zip(numbers, best, strict=True)]
    shares = fit(samples).share(*numbers.T)
    assert np.abs(shares - best).mean() < 0.05
    assert gain(samples, shares).mean() > gain(samples, best).mean() - 0.02


def test_gain_is_that_of_the_share_itself() -> None:
    """Beside a result that was really weakened."""
    rng = np.random.default_rng(0)
    truth, plain, result = (rng.random((30, 30, 1)) for _ in range(3))
    change, error = result - plain, truth - plain
    products = [float(np.mean(a * b)) for a, b in ((change, change), (change, error), (error, error))]
    sample = StrengthSample(0, 0, *products, 0.0, False)  # type: ignore[call-arg, arg-type]
    weaker = plain + 0.3 * change
    expected = 10 * np.log10(np.mean((plain - truth) ** 2) / np.mean((weaker - truth) ** 2))
    assert gain([sample], 0.3)[0] == pytest.approx(expected)


def test_low_resolutions_are_drawn_sharp_and_blurred_and_are_of_eight_bits(fundus: np.ndarray) -> None:
    truth = fundus[:128, :128].astype(np.float32) / 255
    rng = np.random.default_rng(0)
    drawn = [draw(truth, 2, rng) for _ in range(40)]
    blurs = [blur for _, blur, _ in drawn]
    assert 4 <= blurs.count(0) <= 18
    assert 4 <= blurs.count(1) <= 18
    assert any(0 < blur < 1 for blur in blurs)
    assert 4 < sum(artefacts for _, _, artefacts in drawn) < 36
    for low, blur, artefacts in drawn:
        assert low.shape == (64, 64, 3)
        np.testing.assert_allclose(low * 255, np.round(low * 255), atol=1e-3)
        if not blur and not artefacts:
            np.testing.assert_allclose(low, resize(truth, (64, 64), "bicubic").clip(0, 1), atol=0.51 / 255)


def test_all_of_the_change_is_measured_whatever_the_model_takes(fundus: np.ndarray) -> None:
    model = open_model("medsr-retina-x2", Compute("cpu", "torch", "fp32"))
    assert isinstance(model, Network)
    truth = fundus[:128, :128].astype(np.float32) / 255
    plain = measure(model, truth, np.random.default_rng(3))
    model.strength = None
    assert plain == measure(model, truth, np.random.default_rng(3))
    assert measure(model, truth[:40, :40], np.random.default_rng(3)) is None
