"""Motion and gain of stacks: found, the same every time, and refused where they cannot be."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import affine_transform, gaussian_filter
from scipy.spatial.transform import Rotation

from medsr.core.errors import InputError
from medsr.core.geometry import Grid
from medsr.volumes.stacks.acquired import SliceStack
from medsr.volumes.stacks.align import align
from medsr.volumes.stacks.grids import even, extended
from medsr.volumes.stacks.registration import angle, displacement, register
from medsr.volumes.stacks.request import JoinRequest

SIDE, THICK = 64, 4


def head() -> np.ndarray:
    """Structures of several sizes in a ball, 0 to 1."""
    random = np.random.default_rng(5)
    values = sum(
        weight * gaussian_filter(random.normal(size=(SIDE,) * 3), sigma) / 0.05 ** (sigma / 4)
        for weight, sigma in ((1, 2), (1, 4), (1, 7))
    )
    values = (values - values.min()) / np.ptp(values)
    radii = (26, 19, 22)
    distance = np.sqrt(
        sum(((n - (SIDE - 1) / 2) / r) ** 2 for n, r in zip(np.indices(values.shape), radii, strict=True))
    )
    return ((0.1 + 0.9 * values) / (1 + np.exp(20 * (distance - 1)))).astype(np.float32)


def motion(degrees: float, mm: float) -> np.ndarray:
    matrix, centre = np.eye(4), np.full(3, (SIDE - 1) / 2)
    matrix[:3, :3] = Rotation.from_rotvec(np.deg2rad(degrees) * np.array([0.6, -0.64, 0.48])).as_matrix()
    matrix[:3, 3] = centre + mm * np.array([0.48, 0.6, 0.64]) - matrix[:3, :3] @ centre
    return matrix


def stack(values: np.ndarray, axis: int, moved: np.ndarray, gain: float = 1.0) -> SliceStack:
    back = np.linalg.inv(moved)
    seen = affine_transform(values, back[:3, :3], back[:3, 3], order=5, output=np.float32)
    thick = np.moveaxis(seen, axis, 0).reshape(SIDE // THICK, THICK, SIDE, SIDE).mean(1)
    noise = np.random.default_rng(axis).normal(0, 0.01, thick.shape)
    affine = np.eye(4)
    affine[axis, axis], affine[axis, 3] = THICK, (THICK - 1) / 2
    thick = np.abs(np.ascontiguousarray(np.moveaxis(thick + noise, 0, axis)) * gain).astype(np.float32)
    return SliceStack("nsw"[axis], thick, Grid(thick.shape, affine), axis, THICK)


@pytest.fixture(scope="module")
def volume() -> np.ndarray:
    return head()


@pytest.mark.slow
def test_the_motion_is_found_to_a_tenth_of_a_voxel_and_the_same_every_time(volume: np.ndarray) -> None:
    true = motion(6, 5)
    fixed, moving = stack(volume, 2, np.eye(4)), stack(volume, 0, true)
    first, again = register(fixed, moving), register(fixed, moving)
    np.testing.assert_array_equal(first.motion, again.motion)
    edge = np.array([[x, y, z] for x in (20, 43) for y in (20, 43) for z in (20, 43)], float)
    error = [np.linalg.norm((first.motion - true) @ [*point, 1.0]) for point in edge]
    assert max(error) < 0.3
    assert first.after > 0.9 > first.before
    assert angle(first.motion) == pytest.approx(6, abs=0.3)
    assert displacement(first.motion, np.full(3, (SIDE - 1) / 2)) == pytest.approx(5, abs=0.2)


@pytest.mark.parametrize("gain", [0.8, 1.25])
def test_the_gain_is_found(volume: np.ndarray, gain: float) -> None:
    stacks = [stack(volume, 2, np.eye(4)), stack(volume, 1, motion(3, 3), gain)]
    found = align(stacks, [one.values for one in stacks], JoinRequest(), [np.eye(4), motion(3, 3)], print)
    assert found.matches[1].gain == pytest.approx(gain, rel=0.01)
    assert found.matches[1].offset == 0
    kept = align(stacks, [one.values for one in stacks], JoinRequest(match_intensities=False), found.motions, print)
    assert kept.matches[1].gain == 1


def test_what_shows_something_else_is_refused(volume: np.ndarray) -> None:
    first = stack(volume, 2, np.eye(4))
    far = np.eye(4)
    far[:3, 3] = 500
    lines: list[str] = []
    away = SliceStack("away", first.values, Grid(first.grid.shape, far @ first.grid.affine), 2, THICK)
    with pytest.raises(InputError, match="away: does not overlap"):
        align([first, away], [first.values] * 2, JoinRequest(force=True), None, lines.append)
    contrary = SliceStack("contrary", first.values.max() - first.values, first.grid, 2, THICK)
    stacks = [first, contrary]
    with pytest.raises(InputError, match=r"contrary: does not show the same .*`force`"):
        align(stacks, [one.values for one in stacks], JoinRequest(registration=False), None, print)
    align(
        stacks,
        [one.values for one in stacks],
        JoinRequest(registration=False, force=True),
        None,
        lines.append,
    )
    assert len(lines) == 1


def test_the_box_of_the_result() -> None:
    """Exactly one spacing over the first scan's box; grown to hold the others, or cut to what is in all."""
    affine = np.diag([0.5, 0.5, 4.2, 1.0])
    affine[:3, 3] = (-10, 20, 5)
    first = Grid((40, 40, 7), affine)
    grid = even(first, 0.5)
    assert grid.shape == (40, 40, 59)
    np.testing.assert_allclose(grid.spacing, 0.5)
    middle = [affine @ [19.5, 19.5, 3, 1], grid.affine @ [19.5, 19.5, 29, 1]]
    np.testing.assert_allclose(*middle)
    shift = np.diag([0.5, 0.5, 4.2, 1.0])
    shift[:3, 3] = (-8, 20, 5)
    other = Grid((40, 40, 7), shift)
    union = extended(grid, [first, other], [np.eye(4)] * 2, "union")
    assert union.shape[:2] == (44, 40)
    common = extended(grid, [first, other], [np.eye(4)] * 2, "intersection")
    assert common.shape[:2] == (36, 40)
    assert common.affine[0, 3] == pytest.approx(-8)
    nowhere = Grid((40, 40, 7), shift + np.array([[0, 0, 0, 90.0], [0] * 4, [0] * 4, [0] * 4]))
    with pytest.raises(InputError, match="no box"):
        extended(grid, [first, nowhere], [np.eye(4)] * 2, "intersection")


def test_the_gain_is_right_where_one_scan_sees_a_part_alone(volume: np.ndarray) -> None:
    """What the other sees around the part must not count."""
    whole, part = stack(volume, 0, np.eye(4)), stack(volume, 2, np.eye(4))
    affine = part.grid.affine.copy()
    affine[:3, 3] += (22, 22, 20)
    values = np.ascontiguousarray(part.values[22:42, 22:42, 5:11])
    cut = SliceStack("part", values, Grid(values.shape, affine), 2, THICK)
    alignment = align([cut, whole], [values, whole.values], JoinRequest(), [np.eye(4)] * 2, print)
    assert alignment.matches[1].gain == pytest.approx(1, rel=0.03)
