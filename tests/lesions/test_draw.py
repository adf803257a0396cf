from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from medsr.lesions.draw import difference, draw
from medsr.lesions.kinds import FAMILIES, Family
from medsr.lesions.lesion import Lesion, random_lesion

SPHERE = Lesion("hyperintense", "ellipsoid", 6.0, 0.3, (1, 1, 1), (20, 20, 20), (1, 1, 1), (0, 0, 0), 0)
NODULE = Lesion("nodule", "nodule", 12.0, 0.2, (1, 1, 1), (40, 40), (1, 1), (0,), 0)


def _whole(truth: np.ndarray, lesion: Lesion, step: float) -> np.ndarray:
    """The difference on the whole array."""
    result = np.zeros_like(truth)
    window, added = difference(truth, lesion, step)
    result[window] = added
    return result


def _full_width(line: np.ndarray, level: float) -> float:
    """Where a line rises above and falls below a level, between pixels."""
    above = np.flatnonzero(line >= level)
    first, last = above[0], above[-1]
    left = first - (line[first] - level) / (line[first] - line[first - 1])
    right = last + (line[last] - level) / (line[last] - line[last + 1])
    return float(right - left)


def test_the_contrast_is_relative_to_the_local_mean() -> None:
    truth = np.full((41, 41, 41), 0.5, np.float32)
    added = _whole(truth, SPHERE, 1.0)
    assert added.max() == pytest.approx(0.3 * 0.5, rel=1e-5)
    assert added.min() == 0
    darker = _whole(truth, replace(SPHERE, contrast=-0.3), 1.0)
    np.testing.assert_allclose(darker, -added, rtol=1e-6)


def test_the_local_mean_is_that_around_the_lesion_and_not_of_the_image() -> None:
    truth = np.full((81, 81, 1), 0.9, np.float32)
    truth[25:56, 25:56] = 0.4
    assert _whole(truth, NODULE, 1.0).max() == pytest.approx(0.2 * 0.4, rel=0.02)


def test_volumes_brighter_than_1_are_not_clipped_and_images_are() -> None:
    volume = np.full((41, 41, 41), 1.2, np.float32)
    assert draw(volume, [SPHERE], 1.0).max() == pytest.approx(1.2 * 1.3, rel=1e-5)
    image = np.full((81, 81, 1), 0.95, np.float32)
    assert draw(image, [NODULE], 1.0).max() == 1
    assert (image == np.float32(0.95)).all()


def test_nothing_differs_elsewhere() -> None:
    rng = np.random.default_rng(0)
    truth = rng.uniform(0.2, 0.6, (41, 41, 41)).astype(np.float32)
    changed = draw(truth, [SPHERE], 1.0) - truth
    distance = np.sqrt(sum((axis - 20) ** 2 for axis in np.ogrid[:41, :41, :41]))
    assert (changed[distance > 3 + 0.7 + 1] == 0).all()
    assert (changed[distance < 2] > 0).all()


@pytest.mark.parametrize("step", [0.25, 0.5])
@pytest.mark.parametrize("size", [2.0, 4.0, 8.0])
def test_the_size_of_an_ellipsoid_is_its_full_width_at_half_maximum(size: float, step: float) -> None:
    truth = np.full((61, 61, 61), 0.5, np.float32)
    lesion = replace(SPHERE, size=size, centre=(30, 30, 30))
    added = _whole(truth, lesion, step)
    for line in (added[:, 30, 30], added[30, :, 30], added[30, 30]):
        assert _full_width(line, added.max() / 2) * step == pytest.approx(size, abs=0.1)


def test_the_axes_of_an_ellipsoid_are_those_of_its_ratios_and_turned() -> None:
    truth = np.full((61, 61, 61), 0.5, np.float32)
    lesion = replace(SPHERE, size=6.0, centre=(30, 30, 30), ratios=(1.25, 1.0, 0.8))
    straight = _whole(truth, lesion, 0.5)
    widths = [_full_width(line, straight.max() / 2) / 2 for line in (straight[:, 30, 30], straight[30, :, 30])]
    assert widths == pytest.approx([7.5, 6.0], abs=0.1)
    turned = _whole(truth, replace(lesion, turn=(0, 0, np.pi / 2)), 0.5)
    np.testing.assert_allclose(turned, straight.transpose(1, 0, 2)[::-1], atol=1e-6)
    assert turned.sum() == pytest.approx(straight.sum(), rel=1e-4)


def test_a_nodule_is_the_designer_nodule_averaged_over_pixels() -> None:
    truth = np.full((81, 81, 1), 0.5, np.float32)
    added = _whole(truth, NODULE, 0.5)[..., 0] / (0.2 * 0.5)
    squares = sum((0.5 * (axis - 40)) ** 2 for axis in np.ogrid[:81, :81])
    expected = np.clip(1 - squares / 6.0**2, 0, None) ** 1.5
    np.testing.assert_allclose(added, expected, atol=0.01)
    assert added.sum() * 0.25 == pytest.approx(np.pi * 36 / 2.5, rel=1e-3)
    assert _full_width(added[40], added.max() / 2) * 0.5 == pytest.approx(0.608 * 12, abs=0.05)


@pytest.mark.parametrize("size", [3.0, 5.0, 7.0])
def test_a_spot_has_its_size_at_half_maximum_and_ends_at_twice_that(size: float) -> None:
    truth = np.full((41, 41, 3), 0.5, np.float32)
    lesion = Lesion("microaneurysm", "spot", size, -0.3, (0.5, 1, 0.7), (20, 20), (1, 1), (0,), 0)
    green = _whole(truth, lesion, 1.0)[..., 1] / (-0.3 * 0.5)
    assert _full_width(green[20], 0.5) == pytest.approx(size, abs=0.25)
    distance = np.hypot(*np.ogrid[-20:21, -20:21])
    assert (green[distance > size + 1] == 0).all()
    assert (np.diff(green[20, 20:]) <= 0).all()


def test_each_channel_gets_its_weight_of_its_own_local_mean() -> None:
    truth = np.broadcast_to(np.array([0.6, 0.4, 0.2], np.float32), (41, 41, 3)).copy()
    lesion = Lesion("microaneurysm", "spot", 7, -0.3, (0.5, 1, 0.7), (20, 20), (1, 1), (0,), 0)
    added = _whole(truth, lesion, 1.0)
    peak = added[20, 20] / added[20, 20, 1] * -0.3 * 0.4
    np.testing.assert_allclose(peak, [-0.3 * 0.5 * 0.6, -0.3 * 0.4, -0.3 * 0.7 * 0.2], rtol=1e-5)
    grey = _whole(truth[..., :1].copy(), lesion, 1.0)
    np.testing.assert_allclose(grey[..., 0], added[..., 0] * 2, rtol=1e-5)


@pytest.mark.parametrize(("shape", "size"), [("blot", 16.0), ("blot", 8.0), ("exudate", 8.0), ("exudate", 3.0)])
def test_an_irregular_lesion_has_the_area_of_a_disc_of_its_size(shape: str, size: float) -> None:
    truth = np.full((81, 81, 3), 0.5, np.float32)
    outlines = []
    for seed in range(8):
        lesion = Lesion("", shape, size, 0.2, (1, 1, 1), (40, 40), (1.1, 1 / 1.1), (0.7,), seed)  # type: ignore[arg-type]
        added = _whole(truth, lesion, 1.0)[..., 1] / (0.2 * 0.5)
        assert 0.99 < added.max() <= 1 + 1e-6
        assert added.sum() == pytest.approx(np.pi * size**2 / 4, rel=0.12)
        outlines.append(added)
    assert np.ptp(outlines, axis=0).max() > 0.3


def test_a_lesion_at_the_border_is_cut_there() -> None:
    truth = np.full((41, 41, 41), 0.5, np.float32)
    inside = _whole(truth, SPHERE, 1.0)
    window, added = difference(truth, replace(SPHERE, centre=(0, 20, 40)), 1.0)
    assert all(0 <= part.start < part.stop <= 41 for part in window)
    np.testing.assert_allclose(added, inside[20:, :, :21][window[0], window[1], :][..., -added.shape[2] :], atol=1e-6)


@pytest.mark.parametrize("family", [family for families in FAMILIES.values() for family in families])
def test_every_family_draws_every_size_whole_and_alike(family: Family) -> None:
    """Of the contrast named, and its window holds all of it: at its faces there is nothing left."""
    axes = 3 if family.kind == "mri" else 2
    truth = np.full((61,) * 3 if axes == 3 else (121, 121, 3), 0.4, np.float32)
    for size in family.sizes:
        for contrast in family.contrasts:
            rng = np.random.default_rng(5)
            lesion = random_lesion(family, size, contrast, tuple(n // 2 for n in truth.shape[:axes]), rng)
            assert np.prod(lesion.ratios) == pytest.approx(1)
            assert min(lesion.ratios) >= family.ratios[0]
            assert max(lesion.ratios) <= family.ratios[1]
            _, added = difference(truth, lesion, 0.5 if family.kind != "fundus" else 1.0)
            peak = np.abs(added).max()
            assert 0.75 < peak / (abs(contrast) * 0.4) < 1 + 1e-6
            assert np.sign(added[np.abs(added) == peak][0]) == np.sign(contrast)
            for axis in range(axes):
                assert not np.take(added, [0, -1], axis).any()
            again = random_lesion(family, size, contrast, lesion.centre, np.random.default_rng(5))
            assert again == lesion
            assert random_lesion(family, size, contrast, lesion.centre, rng) != lesion
