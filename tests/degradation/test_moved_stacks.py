"""Several thick stacks of one volume: each disturbance is the one that is stated, and nothing else happens."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk

from medsr.core.geometry import Grid
from medsr.degradation.moved_stacks import (
    GAINS,
    MOST_DEGREES,
    MOST_MM,
    NOISE,
    Disturbance,
    draw,
    moved,
    thick_stack,
    turned_around,
)

MIDDLE = np.array([24.0, 22.0, 20.0])
STILL = Disturbance(np.eye(4), 1.0, (1,))


@pytest.fixture(scope="module")
def head() -> np.ndarray:
    """(48, 44, 40): smooth blobs in a ball, zero around it."""
    from scipy.ndimage import gaussian_filter

    blobs = gaussian_filter(np.random.default_rng(0).random((48, 44, 40)), 2)
    blobs = (blobs - blobs.min()) / np.ptp(blobs)
    distance = np.linalg.norm(np.moveaxis(np.indices(blobs.shape), 0, 3) - MIDDLE, axis=3)
    return (blobs / (1 + np.exp((distance - 14) / 1.0))).astype(np.float32)


def _grid(volume: np.ndarray, step: float = 1.0) -> Grid:
    return Grid(volume.shape, np.diag([step, step, step, 1.0]))


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_stack_without_motion_gain_and_noise_is_the_mean_of_each_block(head: np.ndarray, axis: int) -> None:
    still = moved(head, _grid(head), np.eye(4))
    thick = thick_stack(still, axis, head.shape[axis] // 4, STILL, noise=0)
    blocks = np.moveaxis(head, axis, 0).reshape(head.shape[axis] // 4, 4, *np.moveaxis(head, axis, 0).shape[1:])
    np.testing.assert_allclose(thick, np.moveaxis(blocks.mean(axis=1), 0, axis), atol=1e-6)


def test_the_gain_multiplies_and_the_noise_is_rician(head: np.ndarray) -> None:
    loud = Disturbance(np.eye(4), 1.25, (1, 2))
    plain = thick_stack(head, 2, 10, STILL, noise=0)
    np.testing.assert_allclose(thick_stack(head, 2, 10, loud, noise=0), 1.25 * plain, rtol=1e-6)
    bright = thick_stack(np.full((40, 40, 40), 0.5, np.float32), 2, 40, loud)
    assert bright.std() == pytest.approx(NOISE, rel=0.02)
    assert bright.mean() == pytest.approx(0.625 + NOISE**2 / (2 * 0.625), abs=2e-4)
    dark = thick_stack(np.zeros((40, 40, 40), np.float32), 2, 40, loud)
    assert dark.mean() == pytest.approx(NOISE * np.sqrt(np.pi / 2), rel=0.02)
    assert dark.min() >= 0
    assert bright.dtype == np.float32


def test_the_patient_moves_as_the_motion_says_beside_simpleitk(head: np.ndarray) -> None:
    """What is at p lies at `motion` p: SimpleITK, which looks there for each p, gives the volume again."""
    step = 1.5
    motion = turned_around(step * MIDDLE, np.radians([4.0, -3.0, 5.0]), np.array([2.5, -3.0, 1.0]))
    shown = moved(head, _grid(head, step), motion)
    image = sitk.GetImageFromArray(shown.transpose(2, 1, 0))
    image.SetSpacing([step] * 3)
    transform = sitk.AffineTransform(motion[:3, :3].ravel().tolist(), motion[:3, 3].tolist())
    back = sitk.Resample(image, image, transform, sitk.sitkBSpline3, 0.0)
    returned = sitk.GetArrayFromImage(back).transpose(2, 1, 0)
    assert np.corrcoef(returned.ravel(), head.ravel())[0, 1] > 0.999
    assert np.corrcoef(shown.ravel(), head.ravel())[0, 1] < 0.95
    returned = moved(shown, _grid(head, step), np.linalg.inv(motion), outside="nearest")
    assert np.abs(returned - head).max() < 0.01


def test_what_comes_from_outside_is_nothing_and_what_the_volume_holds_beyond_the_grid_comes_in() -> None:
    ones = np.ones((20, 20, 30), np.float32)
    shift = turned_around(np.zeros(3), np.zeros(3), np.array([0.0, 0.0, -6.0]))
    assert moved(ones, Grid((20, 20, 20), np.eye(4)), shift)[10, 10, -1] == pytest.approx(1)
    assert moved(ones, Grid((20, 20, 30), np.eye(4)), shift)[10, 10, -1] == pytest.approx(0, abs=1e-6)
    assert moved(ones, Grid((20, 20, 30), np.eye(4)), shift, outside="nearest")[10, 10, -1] == pytest.approx(1)


def test_draws_are_those_of_the_name_alone_and_fill_what_is_promised() -> None:
    first, again, other = (draw(name, 1, MIDDLE) for name in ("a.nii.gz", "a.nii.gz", "b.nii.gz"))
    np.testing.assert_array_equal(first.motion, again.motion)
    assert (first.gain, first.seed) == (again.gain, again.seed)
    assert not np.allclose(first.motion, other.motion)
    still = draw("a.nii.gz", 0, MIDDLE)
    np.testing.assert_array_equal(still.motion, np.eye(4))
    assert still.gain == 1
    draws = [draw(f"{number}.nii", 1, MIDDLE) for number in range(300)]
    shifts = [float(np.linalg.norm(drawn.motion[:3, :3] @ MIDDLE + drawn.motion[:3, 3] - MIDDLE)) for drawn in draws]
    angles = [float(np.degrees(np.arccos((np.trace(drawn.motion[:3, :3]) - 1) / 2))) for drawn in draws]
    gains = [drawn.gain for drawn in draws]
    for values, low, high in ((shifts, 0, MOST_MM), (angles, 0, MOST_DEGREES), (gains, *GAINS)):
        assert low <= min(values) < low + 0.05 * (high - low)
        assert high - 0.05 * (high - low) < max(values) <= high
    assert len({drawn.seed for drawn in draws}) == 300
    for drawn in draws[:20]:
        np.testing.assert_allclose(drawn.motion[:3, :3] @ drawn.motion[:3, :3].T, np.eye(3), atol=1e-12)


def test_a_name_that_is_not_utf8_draws_too() -> None:
    """As Python has it of a file that is called so."""
    assert draw("M\udcfcller", 1, np.zeros(3)).gain != draw("M\udce4ller", 1, np.zeros(3)).gain
