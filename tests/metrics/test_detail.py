from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter

from medsr.core.resample import resize
from medsr.metrics.detail import Detail, bands, detail

RNG = np.random.default_rng(0)
TRUTH = gaussian_filter(RNG.random((128, 160)), 0.6) * 0.5 + np.linspace(0, 0.5, 160)


def _detail(result: np.ndarray, truth: np.ndarray, scale: float) -> Detail:
    measured = detail(result, truth, scale)
    assert measured is not None
    return measured


def test_where_there_is_no_detail_there_is_no_figure() -> None:
    flat = np.full((64, 64), 0.5)
    assert detail(TRUTH[:64, :64], flat, 4) is None


def test_one_invented_line_shows_in_the_worst_place_though_not_in_the_mean() -> None:
    truth = np.tile(TRUTH, (4, 4))
    result = truth.copy()
    result[100:102, 100:140] += 0.3
    measured = _detail(result, truth, 4)
    assert measured.added < 0.05
    assert measured.worst > 0.5
    low = resize(truth[:, :, None].astype(np.float32), (128, 160), "lanczos")
    plain = _detail(resize(low, truth.shape, "bicubic")[:, :, 0], truth, 4)
    assert plain.worst < 0.3 * measured.worst


def test_a_perfect_result_lacks_nothing_and_adds_nothing() -> None:
    measured = _detail(TRUTH, TRUTH, 4)
    assert measured.missing == pytest.approx(0, abs=1e-9)
    assert measured.added == pytest.approx(0, abs=1e-9)


def test_interpolation_lacks_nearly_all_and_adds_little() -> None:
    low = resize(TRUTH[:, :, None], (32, 40), "lanczos")
    measured = _detail(resize(low, (128, 160), "bicubic")[:, :, 0], TRUTH, 4)
    assert measured.missing > 0.95
    assert measured.added < 0.05


def test_noise_is_added_and_misses_nothing() -> None:
    noise = RNG.normal(0, 0.05, TRUTH.shape)
    measured = _detail(TRUTH + noise, TRUTH, 4)
    assert measured.missing < 0.05
    energy = _detail(np.zeros_like(TRUTH), TRUTH, 4).missing
    assert energy == pytest.approx(1)
    assert measured.added > 0.2


def test_somebody_elses_detail_is_both() -> None:
    other = gaussian_filter(np.random.default_rng(7).random(TRUTH.shape), 0.6) * 0.5
    measured = _detail(other, TRUTH, 4)
    assert measured.missing > 0.8
    assert measured.added > 0.8


def test_an_inverted_image_lacks_all_and_adds_its_inverse() -> None:
    measured = _detail(-TRUTH, TRUTH, 4)
    assert measured.missing == pytest.approx(1, abs=1e-6)
    assert measured.added == pytest.approx(3, abs=1e-6)  # |-g - g|^2 = 4 |g|^2


@settings(deadline=None, max_examples=20)
@given(share=st.floats(-1, 2), noise=st.floats(0, 0.2), scale=st.sampled_from([2, 3, 4]))
def test_missing_and_added_are_the_whole_difference(share: float, noise: float, scale: int) -> None:
    result = share * TRUTH + np.random.default_rng(3).normal(0, noise, TRUTH.shape)
    measured = _detail(result, TRUTH, scale)
    assert measured.missing >= 0
    assert measured.added >= 0
    assert measured.missing + measured.added == pytest.approx(
        _energy(result - TRUTH, scale) / _energy(TRUTH, scale), rel=0.02
    )


def _energy(image: np.ndarray, scale: int) -> float:
    from medsr.metrics.detail import _band

    return sum(float((_band(image, low, high) ** 2).sum()) for low, high in bands(scale))


def test_bands_are_octaves_up_to_the_images_own_limit() -> None:
    assert bands(2) == [(0.25, 0.5)]
    assert bands(4) == [(0.125, 0.25), (0.25, 0.5)]
    assert bands(3) == [(pytest.approx(1 / 6), pytest.approx(1 / 3)), (pytest.approx(1 / 3), 0.5)]
