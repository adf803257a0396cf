"""Lesions of a mask: their sizes, their contrast to the tissue around them, and how much of them is seen."""

from __future__ import annotations

import numpy as np
import pytest

from medsr.core.types import Array
from medsr.metrics.lesion_contrast import OutlinedLesion, contrast, extent, outlined_lesions, stands_out

TISSUE, LESION = 0.4, 0.7


def _ball(shape: tuple[int, ...], centre: tuple[int, ...], radius: float) -> np.ndarray:
    squared = sum((axis - middle) ** 2 for axis, middle in zip(np.indices(shape), centre, strict=True))
    return np.asarray(squared <= radius**2)


def _array(mask: np.ndarray, inside: float = LESION) -> Array:
    return np.where(mask, inside, TISSUE).astype(np.float32)


def _seen(array: Array, lesion: OutlinedLesion, truth: Array) -> tuple[float, float]:
    """Contrast and extent."""
    true, own = contrast(truth, lesion), contrast(array, lesion)
    assert true is not None
    assert own is not None
    return own.contrast, extent(array, lesion, own.around, true.contrast)


@pytest.mark.parametrize("axes", [2, 3])
def test_parts_that_touch_at_a_corner_are_one_lesion_and_sizes_are_in_units_of_length(axes: int) -> None:
    mask = np.zeros((20,) * axes, bool)
    mask[(slice(2, 4),) * axes] = True
    mask[(4,) * axes] = True  # touches the last at its corner alone
    mask[(slice(10, 13),) * axes] = True
    lesions = outlined_lesions(mask, 0.5)
    assert [lesion.size for lesion in lesions] == [(2**axes + 1) * 0.5**axes, 3**axes * 0.5**axes]
    assert [lesion.number for lesion in lesions] == [1, 2]
    assert lesions[1].centre == (11,) * axes
    assert outlined_lesions(np.zeros((20,) * axes, bool), 0.5) == []


@pytest.mark.parametrize("step", [0.5, 1.0])
@pytest.mark.parametrize("inside", [LESION, 0.1])
def test_a_flat_lesion_has_its_contrast_and_its_volume(step: float, inside: float) -> None:
    mask = _ball((40, 40, 40), (20, 19, 21), 3.2)
    truth = _array(mask, inside)
    (lesion,) = outlined_lesions(mask, step)
    value, volume = _seen(truth, lesion, truth)
    assert value == pytest.approx(inside - TISSUE, abs=1e-6)
    assert volume == lesion.size == pytest.approx(mask.sum() * step**3)


def test_the_ring_lies_two_to_four_millimetres_away_in_tissue_and_away_from_other_lesions() -> None:
    mask = np.zeros((60, 60), bool)
    mask[28:33, 30] = True
    mask[30, 40] = True  # ten voxels away: at 0.5 mm its surroundings reach into the first one's ring
    tissue = np.ones((60, 60), bool)
    tissue[:25] = False
    lesion = outlined_lesions(mask, 0.5, tissue)[0]
    rows, columns = np.nonzero(lesion.around)
    rows, columns = rows + lesion.window[0].start, columns + lesion.window[1].start
    own = 0.5 * np.hypot(np.maximum(np.abs(rows - 30) - 2, 0), columns - 30)
    assert own.min() >= 2
    assert own.max() == 4
    assert (0.5 * np.hypot(rows - 30, columns - 40)).min() >= 2
    assert rows.min() == 25


def test_an_eraser_leaves_nothing_and_a_brightener_is_seen_to_exaggerate() -> None:
    mask = _ball((30, 30, 30), (15, 15, 15), 2)
    truth = _array(mask)
    (lesion,) = outlined_lesions(mask, 1)
    assert _seen(_array(mask, TISSUE), lesion, truth) == (0, 0)
    assert _seen(_array(mask, 0.5), lesion, truth) == (pytest.approx(0.1, abs=1e-6), 0)  # a third is below half
    larger = _array(_ball((30, 30, 30), (15, 15, 15), 3), 1.0)
    value, volume = _seen(larger, lesion, truth)
    assert value == pytest.approx(0.6, abs=1e-6)
    assert volume == np.count_nonzero(_ball((30, 30, 30), (15, 15, 15), 3)) > lesion.size
    dark = _array(mask, 0.1)  # turned into its opposite
    assert _seen(dark, lesion, truth) == (pytest.approx(-0.3, abs=1e-6), 0)


def test_a_result_that_is_brighter_as_a_whole_keeps_the_lesion_as_it_is() -> None:
    mask = _ball((30, 30), (15, 15), 3)
    truth = _array(mask)
    (lesion,) = outlined_lesions(mask, 1)
    assert _seen(truth + 0.25, lesion, truth) == pytest.approx(_seen(truth, lesion, truth), abs=1e-6)


def test_what_grows_beyond_two_millimetres_or_belongs_to_a_neighbour_does_not_count() -> None:
    mask = np.zeros((40, 40), bool)
    mask[20, 15:18] = mask[20, 20:23] = True
    truth = _array(mask)
    left, right = outlined_lesions(mask, 1)
    erased_left = truth.copy()
    erased_left[20, 15:18] = TISSUE
    assert _seen(erased_left, left, truth)[1] == 0  # though the right one is two pixels away
    assert _seen(erased_left, right, truth)[1] == 3
    assert not (_whole(left, mask.shape) & _whole(right, mask.shape)).any()
    rows, columns = np.nonzero(_whole(left, mask.shape))
    assert np.hypot(rows - 20, np.maximum(np.abs(columns - 16) - 1, 0)).max() == 2


def _whole(lesion: OutlinedLesion, shape: tuple[int, ...]) -> np.ndarray:
    array = np.zeros(shape, bool)
    array[lesion.window] = lesion.reach
    return array


def test_the_contrast_is_to_the_median_around_so_that_a_vessel_beside_it_does_not_count() -> None:
    mask = _ball((30, 30, 30), (15, 15, 15), 2)
    truth = _array(mask)
    truth[15, 18] = 3
    (lesion,) = outlined_lesions(mask, 1)
    measured = contrast(truth, lesion)
    assert measured is not None
    assert measured.around == pytest.approx(TISSUE)
    assert measured.contrast == pytest.approx(0.3, abs=1e-6)


def test_without_tissue_around_there_is_no_contrast() -> None:
    mask = _ball((30, 30, 30), (15, 15, 15), 2)
    (lesion,) = outlined_lesions(mask, 1, mask)
    assert contrast(_array(mask), lesion) is None


def test_a_lesion_stands_out_by_three_voxels_and_more_contrast_than_its_surroundings_vary() -> None:
    noise = np.random.default_rng(0).normal(0, 0.1, (50, 50, 50)).astype(np.float32)
    mask = np.zeros((50, 50, 50), bool)
    mask[10, 10, 10:12] = mask[25, 25, 25:28] = mask[40:43, 40, 40] = True
    array = noise.copy()
    array[10, 10, 10:12] = array[25, 25, 25:28] = 0.5
    array[40:43, 40, 40] = 0.05
    verdicts = []
    for lesion in outlined_lesions(mask, 1):
        measured = contrast(array, lesion)
        assert measured is not None
        assert measured.spread == pytest.approx(0.1, rel=0.2)
        verdicts.append(stands_out(lesion, measured))
    assert verdicts == [False, True, False]
