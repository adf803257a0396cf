from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import mannwhitneyu, norm

from medsr.metrics.observers import (
    channels,
    dense_widths,
    detectability,
    hotelling_ratings,
    matched_filter_ratings,
)

SIDE = 25
SIGMA = 0.7
N = 1500


def _signal(width: float = 1.5, height: float = 0.4) -> np.ndarray:
    rows, columns = np.indices((SIDE, SIDE)) - SIDE // 2
    return height * np.exp(-(rows**2 + columns**2) / (2 * width**2))


def _white(n: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(3, SIGMA, (n, SIDE, SIDE))


def _lumpy(n: int, seed: int) -> np.ndarray:
    """Backgrounds whose power falls with the square of the frequency, as anatomy's does."""
    frequency = np.hypot(np.fft.fftfreq(64)[:, None], np.fft.fftfreq(64))
    noise = np.fft.fft2(np.random.default_rng(seed).normal(size=(n, 64, 64))) / (frequency + 0.02)
    return 0.1 * np.fft.ifft2(noise).real[:, :SIDE, :SIDE] + 0.05 * _white(n, seed + 1)


def _ideal(signal: np.ndarray, noise: float) -> float:
    """The channelised ideal observer's d' in white noise, whose covariance is known."""
    profiles = channels(SIDE, dense_widths(SIDE))
    outputs = profiles @ signal.ravel()
    covariance = SIGMA**2 * (profiles @ profiles.T)
    covariance += noise * np.diag(np.diag(covariance))
    return math.sqrt(outputs @ np.linalg.solve(covariance, outputs))


@pytest.mark.parametrize("noise", [0.0, 1.0])
def test_the_hotelling_observer_is_the_channelised_ideal_one_in_white_noise(noise: float) -> None:
    signal = _signal()
    ratings = hotelling_ratings(_white(N, 1) + signal, _white(N, 2), _white(N, 3) + signal, _white(N, 4), noise)
    measured = detectability(*ratings)
    assert measured.d_prime == pytest.approx(_ideal(signal, noise), rel=0.06)
    assert measured.auc == pytest.approx(norm.cdf(measured.d_prime / math.sqrt(2)), abs=0.01)


def test_channels_lose_little_of_a_round_signal() -> None:
    """The channels see almost what an observer of all pixels does, whose d' is |s| / sigma."""
    for width in (1.0, 1.5, 2.5):
        signal = _signal(width)
        best = np.linalg.norm(signal - signal.mean()) / SIGMA
        assert 0.93 * best < _ideal(signal, 0) <= best


def test_the_matched_filter_is_the_ideal_observer_in_white_noise() -> None:
    signal = _signal()
    measured = detectability(*matched_filter_ratings(signal, _white(N, 5) + signal, _white(N, 6)))
    theory = float(np.linalg.norm(signal)) / SIGMA
    assert measured.d_prime == pytest.approx(theory, rel=0.05)
    assert measured.auc == pytest.approx(norm.cdf(theory / math.sqrt(2)), abs=0.01)


def test_where_backgrounds_vary_the_hotelling_observer_sees_more_than_the_matched_filter() -> None:
    signal = _signal(height=0.2)
    present, absent = _lumpy(400, 30) + signal, _lumpy(400, 40)
    hotelling = detectability(*hotelling_ratings(_lumpy(400, 10) + signal, _lumpy(400, 20), present, absent, 0.0))
    matched = detectability(*matched_filter_ratings(signal, present, absent))
    assert hotelling.d_prime > 1.5 * matched.d_prime
    assert hotelling.auc > matched.auc + 0.05


@pytest.mark.parametrize("noise", [0.0, 1.0])
@pytest.mark.parametrize("trained_on", [10, 200])
def test_on_pure_noise_an_observer_guesses(trained_on: int, noise: float) -> None:
    n = 400
    ratings = hotelling_ratings(_white(trained_on, 1), _white(trained_on, 2), _white(n, 3), _white(n, 4), noise)
    interval = 2.58 * math.sqrt((2 * n + 1) / (12 * n * n))  # 99 %, of the Mann-Whitney statistic of equal classes
    assert detectability(*ratings).auc == pytest.approx(0.5, abs=interval)
    template = (_white(trained_on, 1) - _white(trained_on, 2)).mean(0)
    assert detectability(*matched_filter_ratings(template, _white(n, 3), _white(n, 4))).auc == pytest.approx(
        0.5, abs=interval
    )


def test_internal_noise_makes_an_observer_worse_and_is_the_same_each_time() -> None:
    signal = _signal()
    patches = _white(200, 1) + signal, _white(200, 2), _white(200, 3) + signal, _white(200, 4)
    clean, noisy = (detectability(*hotelling_ratings(*patches, noise)).d_prime for noise in (0.0, 2.0))
    assert noisy / clean == pytest.approx(_ideal(signal, 2.0) / _ideal(signal, 0.0), rel=0.1)
    assert noisy < 0.9 * clean
    first, again, other = (hotelling_ratings(*patches, 2.0, seed=seed)[0] for seed in (0, 0, 1))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize("n", [2, 3, 5])
def test_a_few_patches_train_an_observer_that_sees_a_clear_lesion(n: int) -> None:
    """Fewer patches than channels: their covariance cannot be inverted as it is."""
    signal = _signal(height=3)
    ratings = hotelling_ratings(_white(n, 1) + signal, _white(n, 2), _white(100, 3) + signal, _white(100, 4), 0.0)
    assert detectability(*ratings).auc > 0.9


def test_without_any_noise_a_lesion_is_seen() -> None:
    flat = np.full((6, SIDE, SIDE), 0.5, np.float32)
    ratings = hotelling_ratings(flat + _signal(), flat, flat + _signal(), flat, 0.5)
    assert detectability(*ratings).auc == 1
    nothing = detectability(*hotelling_ratings(flat, flat, flat, flat, 0.0))
    assert nothing.auc == 0.5
    assert math.isnan(nothing.d_prime)


def test_what_cannot_be_trained_or_rated_is_not_a_figure() -> None:
    present, absent = hotelling_ratings(_white(1, 1), _white(9, 2), _white(4, 3), _white(5, 4), 0.0)
    assert (len(present), len(absent)) == (4, 5)
    assert np.isnan([*present, *absent]).all()
    for few in ((present, absent), (np.array([]), np.ones(3)), (np.ones(3), np.array([]))):
        assert math.isnan(detectability(*few).auc)
        assert math.isnan(detectability(*few).d_prime)
    single = detectability(np.ones(1), np.zeros(1))
    assert single.auc == 1
    assert math.isnan(single.d_prime)


def test_the_auc_is_that_of_mann_and_whitney_with_ties_half() -> None:
    rng = np.random.default_rng(0)
    present, absent = rng.integers(0, 9, 40).astype(float), rng.integers(0, 7, 30).astype(float)
    expected = mannwhitneyu(present, absent).statistic / (40 * 30)
    assert detectability(present, absent).auc == pytest.approx(expected)
    d_prime = (present.mean() - absent.mean()) / math.sqrt((np.var(present, ddof=1) + np.var(absent, ddof=1)) / 2)
    assert detectability(present, absent).d_prime == pytest.approx(d_prime)


@pytest.mark.parametrize("side", [9, 24, 33])
def test_channels_are_rings_round_the_centre_that_do_not_see_the_mean(side: int) -> None:
    profiles = channels(side, dense_widths(side))
    assert len(profiles) >= 4
    assert np.allclose(profiles.sum(1), 0, atol=1e-9)
    assert np.allclose(np.linalg.norm(profiles, axis=1), 1)
    for profile in profiles.reshape(-1, side, side):
        assert np.allclose(profile, profile.T, atol=1e-12)
        assert np.unravel_index(profile.argmax(), profile.shape) == (side // 2, side // 2)


def test_a_channel_passes_frequencies_as_the_paper_says() -> None:
    """The tenth dense channel, of 0.005 * 1.4^10 = 0.145 cycles a pixel, against its formula."""
    side, width, q = 64, 0.005 * 1.4**10, 1.67
    assert any(math.isclose(width, own) for own in dense_widths(side))
    profile = channels(side, [width]).reshape(side, side)
    spectrum = np.abs(np.fft.fft2(profile))[0, : side // 2]
    rho = np.arange(side // 2) / side
    formula = np.exp(-((rho / (q * width)) ** 2) / 2) - np.exp(-((rho / width) ** 2) / 2)
    assert spectrum / spectrum.max() == pytest.approx(formula / formula.max(), abs=1e-6)


def test_patches_that_do_not_fit_are_refused() -> None:
    patches = _white(3, 0)
    with pytest.raises(ValueError, match="patches of"):
        hotelling_ratings(patches, patches, patches[:, :-1], patches, 0.0)
    with pytest.raises(ValueError, match="patches of"):
        hotelling_ratings(*[patches[:, :2, :2]] * 4, 0.0)
    with pytest.raises(ValueError, match="noise"):
        hotelling_ratings(patches, patches, patches, patches, -1.0)
    with pytest.raises(ValueError, match="template"):
        matched_filter_ratings(np.ones((3, 3)), patches, patches)
