from __future__ import annotations

import numpy as np
import pytest

from medsr.metrics import vessels
from medsr.metrics.vessels import Annotation, Detector


@pytest.mark.parametrize("width", [1, 2, 3, 4, 5, 6, 9])
@pytest.mark.parametrize("across", [0, 1])
def test_the_width_of_a_straight_vessel_is_its_width(width: int, across: int) -> None:
    mask = np.zeros((60, 80), bool)
    mask[20 : 20 + width, 5:75] = True
    mask = mask if across == 0 else mask.T.copy()
    measured = vessels.widths(mask)
    middle = (slice(None), slice(20, 60)) if across == 0 else (slice(20, 60), slice(None))
    inside = measured[middle][mask[middle]]
    np.testing.assert_allclose(inside, width, atol=0.6)
    assert (measured[~mask] == 0).all()
    assert (vessels.widths(np.zeros((5, 5), bool)) == 0).all()


def test_thin_vessels_are_those_up_to_three_pixels() -> None:
    mask = np.zeros((60, 80), bool)
    mask[10:13, 5:75] = True
    mask[30:36, 5:75] = True
    annotation = Annotation.of(mask, np.ones_like(mask))
    assert annotation.thin[10:13, 20:60].all()
    assert not annotation.thin[30:36, 20:60].any()


def _eye(seed: int = 0) -> tuple[np.ndarray, np.ndarray, Annotation]:
    """A bright disc with dark lines, thick and thin, and noise."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:160, :160]
    disc = (y - 80) ** 2 + (x - 80) ** 2 < 70**2
    mask = np.zeros((160, 160), bool)
    mask[50:55] = True
    mask[:, 90:92] = True
    mask &= disc
    grey = np.where(disc, 0.6, 0.0) - 0.15 * mask + rng.normal(0, 0.02, disc.shape) * disc
    return grey.astype(np.float32), disc, Annotation.of(mask, disc)


def test_vessels_that_are_there_are_found_and_blurred_ones_less() -> None:
    from scipy.ndimage import gaussian_filter

    grey, disc, annotation = _eye()
    sharp = vessels.score(Detector("sato", (1.0, 2.0)), grey, disc, annotation)
    blurred = vessels.score(Detector("sato", (1.0, 2.0)), gaussian_filter(grey, 4), disc, annotation)
    assert sharp.auc is not None
    assert blurred.auc is not None
    assert sharp.auc > 0.97
    assert (sharp.thin_sensitivity or 0) > 0.9
    assert blurred.auc < sharp.auc
    assert (blurred.thin_sensitivity or 0) < (sharp.thin_sensitivity or 0) - 0.1


def test_the_edge_of_the_field_of_view_is_no_vessel() -> None:
    grey, disc, _ = _eye()
    response = Detector("sato", (1.0, 2.0))(grey, disc)
    from scipy.ndimage import binary_erosion

    rim = disc & ~binary_erosion(disc, iterations=6)
    assert np.quantile(response[rim], 0.5) < 0.3 * np.quantile(response[52:53, 40:80], 0.5)


def test_chance_scores_one_half() -> None:
    _, disc, annotation = _eye()
    noise = np.random.default_rng(5).random(disc.shape).astype(np.float32)
    measured = vessels.score(Detector(), noise, disc, annotation)
    assert measured.auc == pytest.approx(0.5, abs=0.06)
    assert measured.sensitivity == pytest.approx(0.05, abs=0.06)


def test_an_annotation_without_thin_vessels_gives_no_figure_for_them() -> None:
    grey, disc, annotation = _eye()
    thick = Annotation(annotation.vessels, np.zeros_like(disc), disc)
    assert vessels.score(Detector(), grey, disc, thick).thin_sensitivity is None
    none = Annotation(np.zeros_like(disc), np.zeros_like(disc), disc)
    assert vessels.score(Detector(), grey, disc, none).auc is None


def test_calibration_takes_the_best_detector_there_is() -> None:
    examples = [_eye(seed) for seed in range(2)]
    best, auc = vessels.calibrate(examples)
    for name in vessels.FILTERS:
        others = [vessels.score(Detector(name, sigmas), *examples[0]).auc or 0 for sigmas in vessels.SIGMAS]
        assert auc >= min(others)
    assert auc == pytest.approx(np.mean([vessels.score(best, *one).auc or 0 for one in examples]))
