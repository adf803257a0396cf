from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter, median_filter
from scipy.stats import chi2

from medsr.metrics.lesion_recovery import Recovery, recovery

SIGMA, BLUR = 2.5, 1.8
WIDER = math.hypot(SIGMA, BLUR)


def _radii(shape: tuple[int, ...], centre: tuple[float, ...] | None = None) -> np.ndarray:
    """The distance of every pixel to the centre."""
    axes = np.indices(shape)
    return np.sqrt(sum((axis - at) ** 2 for axis, at in zip(axes, centre or [n // 2 for n in shape], strict=True)))


def _gaussian(shape: tuple[int, ...], sigma: float = SIGMA, centre: tuple[float, ...] | None = None) -> np.ndarray:
    return np.exp(-(_radii(shape, centre) ** 2) / (2 * sigma**2)).astype(np.float32)


def _disc(shape: tuple[int, ...], radius: float) -> np.ndarray:
    return (_radii(shape) <= radius).astype(np.float32)


LESIONS = [_gaussian((41, 41)), _gaussian((21, 25, 23)), _disc((31, 31), 1.5), _disc((9, 9), 0.5), _disc((15,) * 3, 4)]


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("lesion", LESIONS)
def test_truth_against_itself_is_perfect(lesion: np.ndarray, sign: int) -> None:
    assert recovery(sign * lesion, sign * lesion, 0.7) == Recovery(1, 1, 1, 0, 0)


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("shape", [(61, 61), (41, 41, 41)])
def test_a_blurred_gaussian_loses_what_theory_says(shape: tuple[int, ...], sign: int) -> None:
    """Blurred by another it is one of variance s² + b², as high as the same sum allows."""
    dimensions = len(shape)
    truth = sign * 0.2 * _gaussian(shape)
    measured = recovery(truth, gaussian_filter(truth, BLUR), 1.0)
    within = 2 * math.log(2)  # half maximum, in squared sigmas of the truth
    share = chi2.cdf(within * SIGMA**2 / WIDER**2, dimensions) / chi2.cdf(within, dimensions)
    assert measured.peak == pytest.approx((SIGMA / WIDER) ** dimensions, abs=0.005)
    assert measured.width == pytest.approx(WIDER / SIGMA, abs=0.01)
    assert measured.integrated == pytest.approx(share, abs=0.02)
    assert measured.displacement == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("sigma", [0.9, 1.2])
def test_the_width_of_lesions_of_few_pixels_is_nearly_true_too(sigma: float) -> None:
    wide = math.hypot(sigma, 0.8)
    truth, result = _gaussian((25, 25), sigma), _gaussian((25, 25), wide)
    assert recovery(truth, result, 1.0).width == pytest.approx(wide / sigma, rel=0.08)


def test_a_part_of_the_contrast_is_that_part_and_an_inverted_lesion_is_below_zero() -> None:
    lesion = _gaussian((31, 31))
    half = recovery(lesion, lesion / 2, 1.0)
    assert (half.peak, half.integrated, half.width) == pytest.approx((0.5, 0.5, 1))
    inverted = recovery(lesion, -lesion, 1.0)
    assert inverted.integrated == pytest.approx(-1)
    assert inverted.peak < 0
    assert math.isnan(inverted.width)


def test_an_eraser_is_caught() -> None:
    tissue = np.full((41, 41), 0.5, np.float32)
    lesion = 0.2 * _disc((41, 41), 1.5)
    erased = recovery(lesion, median_filter(tissue + lesion, 7) - median_filter(tissue, 7), 1.0)
    assert (erased.peak, erased.integrated, erased.leakage) == (0, 0, 0)
    assert math.isnan(erased.width)
    assert math.isnan(erased.displacement)


@pytest.mark.parametrize("offset", [(2.0, 0.0), (0.4, 0.0), (1.5, -2.0), (6.0, 0.0)])
def test_a_shift_is_the_displacement_in_the_unit_of_the_step(offset: tuple[float, float]) -> None:
    """Also by more than its half width, as long as something is left within the lesion."""
    truth = _gaussian((61, 61))
    moved = _gaussian((61, 61), centre=(30 + offset[0], 30 + offset[1]))
    measured = recovery(truth, moved, 0.5)
    assert measured.displacement == pytest.approx(0.5 * math.hypot(*offset), abs=0.02)
    assert measured.width == pytest.approx(1, abs=0.01)


def test_another_blob_in_the_window_is_leakage_not_the_lesion() -> None:
    truth = _disc((41, 41), 3)
    result = truth.copy()
    result[2:6, 2:6] = 5
    measured = recovery(truth, result, 1.0)
    assert (measured.peak, measured.width, measured.displacement) == (1, 1, 0)
    assert measured.leakage == pytest.approx(80 / truth.sum())


def test_what_lies_within_a_pixel_of_the_lesion_does_not_leak() -> None:
    truth = np.zeros((9, 9), np.float32)
    truth[4, 4] = 1
    result = np.zeros_like(truth)
    result[3:6, 3:6] = 1
    assert recovery(truth, result, 1.0).leakage == 0
    result[2, 4] = -0.5
    assert recovery(truth, result, 1.0).leakage == 0.5


def test_channels_count_by_what_the_lesion_changes_in_them() -> None:
    """A dark red lesion hardly changes red: what a result does there counts as little."""
    shape = _gaussian((31, 31))[..., None]
    colour = np.array([-0.1, -0.3, -0.1], np.float32)
    lost = recovery(shape * colour, shape * colour * np.array([0, 1, 1], np.float32), 1.0)
    assert lost.integrated == pytest.approx(1 - 0.01 / 0.11, abs=1e-5)
    grey = recovery(shape, shape * 0.6, 1.0)
    assert (grey.peak, grey.integrated) == pytest.approx((0.6, 0.6))
    opposite = np.array([0.2, 0.1, -0.3], np.float32)
    measured = vars(recovery(shape * opposite, shape * opposite, 1.0))
    assert tuple(measured.values()) == pytest.approx((1, 1, 1, 0, 0))


def test_a_thin_volume_is_a_volume_where_the_caller_says_so() -> None:
    volume = _gaussian((21, 21, 3), 1.0)
    measured = recovery(volume, gaussian_filter(volume, 0.5), 1.0, colour=False)
    assert 1 < measured.width < 1.2
    assert measured.peak < recovery(volume, gaussian_filter(volume, (0.5, 0.5, 0)), 1.0, colour=False).peak


@pytest.mark.parametrize("truth", [np.zeros((9, 9)), np.full((9, 9), np.nan)])
def test_without_a_lesion_nothing_is_defined(truth: np.ndarray) -> None:
    assert all(math.isnan(value) for value in vars(recovery(truth, np.ones((9, 9)), 1.0)).values())


def test_a_result_that_is_not_finite_is_not_a_figure() -> None:
    result = _gaussian((9, 9))
    result[0, 0] = np.inf
    assert all(math.isnan(value) for value in vars(recovery(_gaussian((9, 9)), result, 1.0)).values())


@pytest.mark.parametrize(("truth", "result"), [((9, 9), (9, 8)), ((9,), (9,)), ((4, 4, 4, 4), (4, 4, 4, 4))])
def test_windows_that_cannot_be_compared_are_refused(truth: tuple[int, ...], result: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="not two windows"):
        recovery(np.ones(truth), np.ones(result), 1.0)
