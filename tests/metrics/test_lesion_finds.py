from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from scipy.signal import fftconvolve

from medsr.metrics.lesion_finds import (
    false_finds,
    maxima,
    reached_by_half,
    response,
    strongest,
    threshold_for_half,
)

SIZE = 5.0
CENTRES = [(30, 30), (30, 90), (90, 30), (90, 90)]
EVERYWHERE = np.ones((128, 128), bool)


def _with_blobs(array: np.ndarray, centres: list[tuple[int, ...]], heights: list[float] | float) -> np.ndarray:
    """Gaussian blobs of the full width SIZE."""
    array = array.copy()
    for centre, height in zip(centres, np.broadcast_to(heights, len(centres)), strict=True):
        squared = sum((axis - at) ** 2 for axis, at in zip(np.indices(array.shape), centre, strict=True))
        array += height * np.exp(-4 * math.log(2) * squared / SIZE**2)
    return array.astype(np.float32)


def _tissue(shape: tuple[int, ...] = (128, 128)) -> np.ndarray:
    rows = np.indices(shape)[0] / shape[0]
    texture = gaussian_filter(np.random.default_rng(0).normal(size=shape), 1)
    return (0.4 + 0.2 * rows + 0.03 * texture).astype(np.float32)


@pytest.mark.parametrize("centre", [(20, 24), (14, 17, 20)])
@pytest.mark.parametrize("height", [0.3, -0.3])
def test_a_blob_of_the_templates_width_gives_its_height_whatever_the_brightness(
    centre: tuple[int, ...], height: float
) -> None:
    flat = np.full([2 * n for n in centre], 0.6)
    measured = response(_with_blobs(flat, [centre], height), SIZE)
    assert measured.dtype == np.float32
    assert measured[centre] == pytest.approx(height, rel=0.03)
    assert np.unravel_index(np.abs(measured).argmax(), measured.shape) == centre
    assert np.abs(response(flat.astype(np.float32), SIZE)).max() < 1e-5


def test_the_response_is_the_product_with_the_template_at_every_pixel() -> None:
    """Against a convolution with the template itself, by FFT, away from the borders."""
    array = np.random.default_rng(1).random((90, 80)).astype(np.float32)
    sigma = SIZE / math.sqrt(8 * math.log(2))
    squared = sum(axis.astype(float) ** 2 for axis in np.indices((41, 41)) - 20)
    blob, surround = (np.exp(-squared / (2 * s**2)) / np.exp(-squared / (2 * s**2)).sum() for s in (sigma, 2 * sigma))
    expected = fftconvolve(array, blob - surround, mode="same") / (1 / 2 - 1 / 5)
    inner = (slice(20, -20), slice(20, -20))
    assert response(array, SIZE)[inner] == pytest.approx(expected[inner], abs=2e-3)


def test_it_responds_most_to_blobs_of_its_own_size() -> None:
    one_pixel = np.zeros((64, 64), np.float32)
    one_pixel[32, 32] = 1
    ramp = np.tile(np.linspace(0, 1, 64, dtype=np.float32), (64, 1))
    assert response(one_pixel, SIZE).max() < 0.2
    assert np.abs(response(ramp, SIZE)[16:-16, 16:-16]).max() < 1e-5


def test_added_blobs_are_found_and_nothing_else() -> None:
    truth = _with_blobs(_tissue(), CENTRES, 0.2)
    threshold = threshold_for_half(response(truth, SIZE), np.array(CENTRES), 3)
    assert 0.15 < threshold < 0.25
    invented = [(60, 60), (60, 100)]
    result = response(_with_blobs(truth, invented, 0.25), SIZE)
    finds = false_finds(result, threshold, EVERYWHERE, np.array(CENTRES), 3)
    assert finds.shape == (2, 2)
    assert np.abs(finds - invented).max() <= 1
    assert len(false_finds(response(truth, SIZE), threshold, EVERYWHERE, np.array(CENTRES), 3)) == 0


def test_finds_in_a_volume_count_inside_the_mask_only() -> None:
    shape = (48, 48, 48)
    blobs = [(12, 12, 12), (36, 36, 36)]
    where = np.zeros(shape, bool)
    where[:24] = True
    finds = false_finds(response(_with_blobs(_tissue(shape), blobs, 0.3), SIZE), 0.2, where, np.empty((0, 3)), 3)
    assert finds.tolist() == [[12, 12, 12]]


@pytest.mark.parametrize("n", [1, 2, 3, 4, 7, 8])
def test_half_of_the_real_lesions_reach_the_threshold(n: int) -> None:
    centres = [(16 + 32 * (i // 3), 16 + 40 * (i % 3)) for i in range(n)]
    values = response(_with_blobs(_tissue(), centres, list(np.linspace(0.1, 0.4, n))), SIZE)
    threshold = threshold_for_half(values, np.array(centres), 3)
    reached = strongest(values, np.array(centres), 3) >= threshold
    assert reached.sum() == math.ceil(n / 2)
    finds = false_finds(values, threshold, EVERYWHERE, np.empty((0, 2)), 3)
    assert len(finds) == math.ceil(n / 2)


def test_the_strongest_lies_within_reach_also_at_the_border() -> None:
    values = np.zeros((9, 9), np.float32)
    values[0, 2], values[2, 2] = 1, 5
    assert strongest(values, np.array([(0, 0)]), 2).tolist() == [1]
    assert strongest(values, np.array([(0, 0)]), 2.9).tolist() == [5]
    assert strongest(values, np.array([(2, 2), (8, 8)]), 0).tolist() == [5, 0]


def test_without_lesions_there_is_no_threshold() -> None:
    assert math.isnan(threshold_for_half(np.zeros((9, 9), np.float32), np.empty((0, 2)), 3))
    assert math.isnan(reached_by_half(np.array([])))
    with pytest.raises(ValueError, match="no threshold"):
        false_finds(np.zeros((9, 9), np.float32), math.nan, np.ones((9, 9), bool), np.empty((0, 2)), 3)


def test_a_plateau_is_one_maximum_and_a_level_array_none() -> None:
    values = np.zeros((12, 12), np.float32)
    where = np.ones((12, 12), bool)
    positions, heights = maxima(values, where)
    assert (positions.shape, heights.shape) == ((0, 2), (0,))
    values[4:6, 4:7] = 2
    values[9, 9] = 1
    positions, heights = maxima(values, where)
    above = heights > 0
    assert sorted(heights[above].tolist()) == [1, 2]
    assert [9, 9] in positions[above].tolist()
    assert all(values[tuple(position.astype(int))] > 0 for position in positions[above])


@pytest.mark.parametrize(
    ("array", "size", "message"),
    [
        (np.zeros((4, 4, 4, 3)), 3.0, "an array of"),
        (np.zeros((9, 9)), 0.0, "a blob of"),
        (np.full((9, 9), np.nan), 3.0, "not finite"),
    ],
)
def test_what_cannot_be_filtered_is_refused(array: np.ndarray, size: float, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        response(array, size)
