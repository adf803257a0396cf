"""Slice profiles: means under a profile, splines that agree with them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import zoom

from medsr.core.resample import bspline_matrix
from medsr.degradation import thick_slices
from medsr.degradation.slice_profile import consistent_spline, matrix
from medsr.recipe import SliceProfile

SIZES = st.integers(2, 60).flatmap(lambda coarse: st.tuples(st.just(coarse), st.integers(coarse, 6 * coarse)))


def test_the_box_is_mean_downsampling() -> None:
    values = np.random.default_rng(0).random(24)
    np.testing.assert_allclose(matrix(24, 8) @ values, values.reshape(8, 3).mean(1), atol=1e-12)


@settings(deadline=None)
@given(SIZES)
def test_real_factors_keep_the_mean_and_the_place(sizes: tuple[int, int]) -> None:
    coarse, fine = sizes
    weights = matrix(fine, coarse)
    np.testing.assert_allclose(weights.sum(1), 1)
    centres = (np.arange(fine) + 0.5) / fine
    np.testing.assert_allclose(weights @ centres, (np.arange(coarse) + 0.5) / coarse, atol=1e-9)


def test_a_gaussian_profile_has_the_width_it_was_given() -> None:
    weights = matrix(400, 10, "gaussian", 0.8)[5]
    half = np.flatnonzero(weights > weights.max() / 2)
    assert len(half) == pytest.approx(0.8 * 40, abs=1)
    assert weights.sum() == pytest.approx(1)


@pytest.mark.parametrize(
    "bad", [(5, 6, "box", 1.0), (5, 0, "box", 1.0), (6, 3, "box", 0.0), (6, 3, "box", float("nan"))]
)
def test_impossible_profiles_are_refused(bad: tuple) -> None:
    with pytest.raises(ValueError, match="no slice profile"):
        matrix(*bad)


@settings(deadline=None)
@given(SIZES)
def test_the_b_spline_is_scipys(sizes: tuple[int, int]) -> None:
    coarse, fine = sizes
    values = np.random.default_rng(coarse).random(coarse)
    expected = zoom(values, fine / coarse, order=3, mode="reflect", grid_mode=True)
    np.testing.assert_allclose(bspline_matrix(coarse, fine) @ values, expected, atol=1e-9)


@settings(deadline=None)
@given(SIZES, st.sampled_from([("box", 1.0), ("box", 0.7), ("gaussian", 0.9)]))
def test_the_consistent_spline_returns_what_was_acquired(sizes: tuple[int, int], profile: tuple) -> None:
    coarse, fine = sizes
    acquired = np.random.default_rng(fine).random(coarse)
    spline = consistent_spline(fine, coarse, *profile)
    np.testing.assert_allclose(matrix(fine, coarse, *profile) @ spline @ acquired, acquired, atol=1e-8)
    np.testing.assert_allclose(spline @ np.ones(coarse), 1, atol=1e-8)


def test_training_pairs_are_thick_rows_and_say_so() -> None:
    import torch

    settings = SliceProfile(factors=(2, 6), both_axes=0.5, gaussian_probability=0.3)
    drawn = thick_slices.draw(settings, np.random.default_rng(0), 40, 96)
    assert {columns is None for _, columns in drawn} == {True, False}
    assert {rows.profile for rows, _ in drawn} == {"box", "gaussian"}
    assert all(16 <= rows.coarse <= 48 for rows, _ in drawn)
    high = torch.rand(1, 1, 96, 96)
    low = thick_slices.apply(high, [(thick_slices.SliceSampling(32), None)])[0].numpy()
    assert low.shape == (3, 96, 96)
    np.testing.assert_allclose(matrix(96, 32) @ low[0], matrix(96, 32) @ high[0, 0].numpy(), atol=1e-5)
    np.testing.assert_allclose(low[1], (96 / 32 - 1) / 5, atol=1e-6)
    np.testing.assert_allclose(low[2], 0)


def test_slices_with_gaps_are_thinner_than_their_spacing_and_as_often_as_asked() -> None:
    settings = SliceProfile(factors=(2, 4), gaps=0.4, thickness=(0.6, 0.9))
    drawn = thick_slices.draw(settings, np.random.default_rng(0), 400, 96)
    widths = np.array([rows.width for rows, _ in drawn])
    assert ((widths == 1) | ((widths >= 0.6) & (widths <= 0.9))).all()
    assert 0.33 < np.mean(widths < 1) < 0.47
    thin = next(rows for rows, _ in drawn if rows.width < 0.7 and rows.coarse <= 30)
    seen = matrix(96, thin.coarse, "box", thin.width)
    assert np.allclose(seen.sum(1), 1)
    assert seen.sum(0).min() < 0.1 * seen.sum(0).max()  # what lies in a gap is hardly seen
    crop = torch.rand(1, 1, 96, 96)
    low = thick_slices.apply(crop, [(thin, None)])[0, 0].numpy()
    np.testing.assert_allclose(seen @ low, seen @ crop[0, 0].numpy(), atol=1e-5)  # as acquired, again


def test_recipes_without_gaps_draw_what_they_drew_before() -> None:
    before = thick_slices.draw(SliceProfile(), np.random.default_rng(3), 50, 96)
    after = thick_slices.draw(SliceProfile(gaps=0.0, thickness=(0.7, 0.8)), np.random.default_rng(3), 50, 96)
    assert before == after
