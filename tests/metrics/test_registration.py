"""How far a registration is off at the edge of the object."""

from __future__ import annotations

import numpy as np
import pytest

from medsr.degradation.moved_stacks import turned_around
from medsr.metrics.registration import MOST_POINTS, displacement, edge_points

AFFINE = np.diag([2.0, 2.0, 2.0, 1.0])
CENTRE = np.array([30.0, 30.0, 30.0])


@pytest.fixture(scope="module")
def points() -> np.ndarray:
    """Of a ball of 20 mm with a hole, beside which there is a speck."""
    distance = np.linalg.norm(2 * np.moveaxis(np.indices((31, 31, 31)), 0, 3) - CENTRE, axis=3)
    unit = ((distance < 20) & (distance > 5)).astype(np.float32)
    unit[0, 0, 0] = 1
    return edge_points(unit, AFFINE)


def test_the_edge_is_the_outer_one_of_the_largest_part(points: np.ndarray) -> None:
    radius = np.linalg.norm(points - CENTRE, axis=1)
    assert radius.min() > 16
    assert radius.max() < 20
    assert 500 < len(points) < 2000


def test_a_wrong_shift_is_off_by_its_length_everywhere(points: np.ndarray) -> None:
    truth = turned_around(CENTRE, np.radians([2.0, 3.0, 4.0]), np.array([1.0, 0.0, 2.0]))
    wrong = truth.copy()
    wrong[:3, 3] += [0.3, 0.0, 0.4]
    np.testing.assert_allclose(displacement(wrong, truth, points), 0.5)
    assert displacement(truth, truth, points).max() == 0


def test_a_wrong_angle_is_off_by_the_distance_from_its_axis(points: np.ndarray) -> None:
    angle = np.radians(1.0)
    wrong = turned_around(CENTRE, np.array([0, 0, angle]), np.zeros(3))
    arms = np.linalg.norm((points - CENTRE)[:, :2], axis=1)
    np.testing.assert_allclose(displacement(wrong, np.eye(4), points), 2 * np.sin(angle / 2) * arms, atol=1e-9)


def test_many_points_are_thinned() -> None:
    unit = np.zeros((130, 130, 130), np.float32)
    unit[2:-2, 2:-2, 2:-2] = 1
    assert MOST_POINTS / 2 < len(edge_points(unit, AFFINE)) <= MOST_POINTS
