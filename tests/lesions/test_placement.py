from __future__ import annotations

from collections import Counter
from itertools import combinations, pairwise

import numpy as np
import pytest
from scipy.ndimage import distance_transform_edt

from medsr.core.errors import InputError
from medsr.lesions import placement
from medsr.lesions.draw import draw
from medsr.lesions.kinds import FAMILIES, Family
from medsr.lesions.placement import APART, MOST, place

TRUTH = np.full((240, 300, 3), 0.4, np.float32)


@pytest.fixture
def anywhere(monkeypatch: pytest.MonkeyPatch) -> np.ndarray:
    """Everything is allowed but the rightmost fifth and one spot."""
    mask = np.ones(TRUTH.shape[:2], bool)
    mask[:, 240:] = False
    mask[115:125, 115:125] = False
    monkeypatch.setattr(placement, "allowed", lambda kind, truth, step: mask)
    return mask


def test_the_same_arguments_give_the_same_lesions(anywhere: np.ndarray) -> None:
    first = place("fundus", TRUTH, 1.0, 3)
    assert first == place("fundus", TRUTH, 1.0, 3)
    assert first == place("fundus", TRUTH, 1.0, 3, where=anywhere)
    other = place("fundus", TRUTH, 1.0, 4)
    assert {lesion.centre for lesion in first} != {lesion.centre for lesion in other}
    assert len({lesion.seed for lesion in first}) == len(first)


@pytest.mark.parametrize("apart", [APART, (2.0, 3.0), (8.0, 0.0)])
def test_centres_keep_their_distance_from_one_another_and_from_the_border(
    anywhere: np.ndarray, apart: tuple[float, float]
) -> None:
    lesions = place("fundus", TRUTH, 1.0, 0, apart=apart)
    assert len(lesions) > 5
    for lesion, other in combinations(lesions, 2):
        least = apart[0] * max(lesion.size, other.size) + apart[1]
        assert np.linalg.norm(np.subtract(lesion.centre, other.centre)) >= least
    for lesion in lesions:
        border = min(*lesion.centre, *np.subtract(TRUTH.shape[:2], lesion.centre) - 1)
        assert border >= (apart[0] * lesion.size + apart[1]) / 2


def test_distances_are_in_the_unit_of_sizes(anywhere: np.ndarray) -> None:
    """At 0.5 mm a pixel, a nodule of 3 mm keeps away 24 pixels and 8 more."""
    families = (Family("nodule", "cxr", "nodule", (3,), (0.1,)),)
    lesions = place("cxr", TRUTH, 0.5, 0, families)
    nearest = min(np.linalg.norm(np.subtract(a.centre, b.centre)) for a, b in combinations(lesions, 2))
    assert 32 <= nearest < 36
    assert {(lesion.family, lesion.size, lesion.contrast) for lesion in lesions} == {("nodule", 3, 0.1)}


def test_a_lesion_lies_where_it_is_allowed_up_to_its_full_width(anywhere: np.ndarray) -> None:
    depth = distance_transform_edt(anywhere)
    for seed in range(3):
        for lesion in place("fundus", TRUTH, 1.0, seed):
            assert depth[lesion.centre] >= lesion.size / 2
            changed = (draw(TRUTH, [lesion], 1.0) - TRUTH)[..., 1]
            strong = abs(changed) > 0.5 * abs(changed).max()
            assert anywhere[strong].mean() > 0.95


def test_every_family_size_and_contrast_comes_once_before_any_comes_twice(anywhere: np.ndarray) -> None:
    cells = [
        (family.name, size, contrast)
        for family in FAMILIES["fundus"]
        for size in family.sizes
        for contrast in family.contrasts
    ]
    counts = Counter(
        (lesion.family, lesion.size, lesion.contrast) for lesion in place("fundus", TRUTH, 1.0, 0, apart=(1, 2))
    )
    assert set(counts) == set(cells)
    assert sum(counts.values()) == MOST
    assert max(counts.values()) - min(counts.values()) <= 1


def test_large_lesions_are_as_frequent_as_small_ones_where_room_is_short(anywhere: np.ndarray) -> None:
    families = (Family("spot", "fundus", "spot", (2, 4, 8, 16), (0.2,)),)
    counts: Counter[float] = Counter()
    for seed in range(6):
        counts.update(lesion.size for lesion in place("fundus", TRUTH, 1.0, seed, families))
    assert all(more >= less for more, less in pairwise(counts[size] for size in (2, 4, 8, 16)))
    assert counts[16] >= 6


def test_where_nothing_fits_that_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    mask = np.zeros(TRUTH.shape[:2], bool)
    mask[120:122, 120:122] = True
    monkeypatch.setattr(placement, "allowed", lambda kind, truth, step: mask)
    with pytest.raises(InputError, match="no lesion fits"):
        place("fundus", TRUTH, 1.0, 0)


def test_of_a_large_image_some_places_are_considered(monkeypatch: pytest.MonkeyPatch, anywhere: np.ndarray) -> None:
    monkeypatch.setattr(placement, "PLACES", 2000)
    lesions = place("fundus", TRUTH, 1.0, 0)
    assert lesions == place("fundus", TRUTH, 1.0, 0)
    assert len(lesions) > 10
    assert all(anywhere[lesion.centre] for lesion in lesions)
