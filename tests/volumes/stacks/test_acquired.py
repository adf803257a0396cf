"""How a stack sees a volume: the slice profile's matrix without motion, and its exact transpose with it."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from medsr.core.geometry import Grid
from medsr.degradation.slice_profile import matrix
from medsr.volumes.stacks.acquired import SliceStack, StackModel
from medsr.volumes.stacks.on_grid import weight


def model(
    shape: tuple[int, int, int], spacing: tuple[float, float, float], thickness: float, motion: np.ndarray
) -> StackModel:
    """A stack thick along its last axis, in the middle of a common cube of 24 voxels of 1 mm."""
    affine = np.diag([*spacing, 1.0])
    affine[:3, 3] = 11.5 - (np.array(shape) - 1) / 2 * spacing
    values = np.random.default_rng(0).random(shape, np.float32)
    return StackModel(SliceStack("s", values, Grid(shape, affine), 2, thickness), Grid((24, 24, 24), np.eye(4)), motion)


def turned() -> np.ndarray:
    motion = np.eye(4)
    motion[:3, :3] = Rotation.from_rotvec([0.05, -0.1, 0.08]).as_matrix()
    motion[:3, 3] = (2.0, -1.0, 0.5)
    return motion


def test_without_motion_it_is_the_mean_of_each_slice() -> None:
    volume = np.random.default_rng(1).random((24, 24, 24), np.float32)
    seen = model((24, 24, 6), (1, 1, 4), 4.0, np.eye(4)).acquire(volume)
    np.testing.assert_allclose(seen, volume @ matrix(24, 6).T.astype(np.float32), atol=1e-5)


def test_slices_with_gaps_see_no_gap() -> None:
    volume = np.zeros((24, 24, 24), np.float32)
    volume[:, :, [3, 7, 11, 15, 19, 23]] = 1  # the last of each four lies in the gap of slices of 2 mm
    assert np.abs(model((24, 24, 6), (1, 1, 4), 2.0, np.eye(4)).acquire(volume)).max() < 1e-5


@pytest.mark.parametrize("spacing", [(1, 1, 4), (1.3, 0.8, 3), (2, 2, 5)])
def test_the_way_back_is_the_transpose(spacing: tuple[float, float, float]) -> None:
    shape = tuple(int(20 / step) for step in spacing)
    stack = model(shape, spacing, spacing[2] * 0.8, turned())  # type: ignore[arg-type]
    random = np.random.default_rng(3)
    volume, values = random.random((24, 24, 24), np.float32), random.random(shape, np.float32)
    assert np.vdot(stack.acquire(volume), values) == pytest.approx(np.vdot(volume, stack.spread(values)), rel=1e-4)


def test_a_ramp_is_seen_where_the_motion_puts_it() -> None:
    """A ramp along one direction tells each voxel's place: 200 mm wide, so that nothing ends."""
    common = Grid((60, 60, 60), np.diag([1.0, 1, 1, 1]))
    affine = np.diag([1.0, 1, 4, 1])
    affine[:3, 3] = (26, 26, 22)
    stack = StackModel(
        SliceStack("s", np.zeros((8, 8, 4), np.float32), Grid((8, 8, 4), affine), 2, 4.0), common, turned()
    )
    hann = np.hanning(60).astype(np.float32)
    fade = hann[:, None, None] * hann[:, None] * hann
    for axis in range(3):
        ramp = np.arange(60, dtype=np.float32).reshape([-1 if n == axis else 1 for n in range(3)]) * fade
        places = np.stack(np.meshgrid(*(np.arange(n) for n in (8, 8, 4)), indexing="ij"), -1)
        points = (places @ affine[:3, :3].T + affine[:3, 3]) @ np.linalg.inv(turned())[:3, :3].T
        points += np.linalg.inv(turned())[:3, 3]
        seen = stack.acquire(ramp) / stack.acquire(np.broadcast_to(fade, (60, 60, 60)).copy())
        np.testing.assert_allclose(seen, points[..., axis], atol=0.25)


def test_only_voxels_that_lie_whole_in_it_count() -> None:
    stack = model((24, 24, 6), (1, 1, 4), 4.0, np.eye(4))
    seen = stack.sees((slice(0, 24), slice(2, 24), slice(0, 22)))
    assert seen[:, 2:, :5].all()
    assert not seen[:, :2].any()
    assert not seen[:, :, 5].any()


def test_the_weight_of_a_stack_grows_from_its_border() -> None:
    grid = Grid((24, 24, 24), np.eye(4))
    affine = np.eye(4)
    affine[0, 3] = 4
    weights = weight(Grid((20, 24, 24), affine), grid, np.eye(4))
    assert (weights[:4] == 0).all()
    assert (weights[4:] > 0).all()
    assert weights[14, 12, 12] > 3 * weights[5, 12, 12]
