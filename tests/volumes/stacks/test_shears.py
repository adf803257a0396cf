"""Rigid motion by shears: exact, its adjoint the motion back, in every order of axes."""

from __future__ import annotations

from itertools import permutations, product

import numpy as np
import pytest
from scipy.ndimage import affine_transform, gaussian_filter
from scipy.spatial.transform import Rotation

from medsr.volumes.stacks.shears import RigidResampler, decompose


def blobs(shape: tuple[int, int, int]) -> np.ndarray:
    values = np.zeros(shape, np.float32)
    inner = tuple(slice(n // 3, -(n // 3)) for n in shape)
    values[inner] = np.random.default_rng(0).normal(size=values[inner].shape)
    return gaussian_filter(values, 2)


def about_the_middle(rotation: np.ndarray, source: tuple, target: tuple, shift: tuple = (1.3, -2.2, 0.7)) -> np.ndarray:
    matrix = np.eye(4)
    matrix[:3, :3] = rotation
    matrix[:3, 3] = (np.array(source) - 1) / 2 - rotation @ ((np.array(target) - 1) / 2) + shift
    return matrix


@pytest.mark.parametrize("degrees", [0.0, 1e-5, 0.5, 8.0, 30.0])
@pytest.mark.parametrize("axes", [np.eye(3), np.array([[0, 0, -1], [1, 0, 0], [0, 1, 0]])], ids=["same", "turned"])
def test_it_reads_what_a_spline_of_order_5_reads(degrees: float, axes: np.ndarray) -> None:
    volume, target = blobs((40, 46, 43)), (44, 40, 47)
    rotation = Rotation.from_rotvec(np.deg2rad(degrees) * np.array([0.3, 0.8, -0.5])).as_matrix() @ axes
    matrix = about_the_middle(rotation, volume.shape, target)
    resampler = RigidResampler(volume.shape, target, matrix)  # type: ignore[arg-type]
    read = resampler.forward(volume)
    expected = affine_transform(volume, matrix[:3, :3], matrix[:3, 3], target, order=5)
    assert np.abs(read - expected).max() < 2e-4 * np.abs(volume).max()
    # The adjoint is the transpose, and nearly the inverse: nothing is blurred away.
    probe = np.random.default_rng(1).normal(size=target).astype(np.float32)
    assert np.vdot(probe, read) == pytest.approx(np.vdot(resampler.adjoint(probe), volume), rel=1e-3, abs=1e-2)
    assert np.abs(resampler.adjoint(read) - volume).max() < 1e-3 * np.abs(volume).max()


def test_whole_voxels_and_every_order_of_axes_change_no_value() -> None:
    volume = np.random.default_rng(0).random((5, 6, 7), np.float32)
    for order, signs in product(permutations(range(3)), product((1, -1), repeat=3)):
        matrix = np.zeros((4, 4))
        matrix[3, 3] = 1
        for axis, (source, sign) in enumerate(zip(order, signs, strict=True)):
            matrix[source, axis] = sign
            matrix[source, 3] = 0 if sign > 0 else volume.shape[source] - 1
        target = tuple(volume.shape[axis] for axis in order)
        expected = volume.transpose(order)[tuple(slice(None, None, sign) for sign in signs)]
        np.testing.assert_array_equal(RigidResampler(volume.shape, target, matrix).forward(volume), expected)  # type: ignore[arg-type]


def test_small_shears_for_every_rotation() -> None:
    random = np.random.default_rng(2)
    for _ in range(300):
        axis = random.normal(size=3) * random.choice([0, 1e-3, 1], 3)
        axis = axis / np.linalg.norm(axis) if axis.any() else np.array([0.0, 0.0, 1.0])
        degrees, shift = 10 ** random.uniform(-3, 1.6), random.uniform(-20, 20, 3)
        rotation = Rotation.from_rotvec(np.deg2rad(degrees) * axis).as_matrix()
        product_matrix = np.eye(4)
        for shear in decompose(rotation, shift):
            factor = np.eye(4)
            factor[shear.axis, :3] += shear.amounts
            factor[shear.axis, 3] = shear.shift
            product_matrix = product_matrix @ factor
            assert np.abs(shear.amounts).max() < 2.5 * np.deg2rad(degrees) + 0.003
        assert np.abs(product_matrix[:3, :3] - rotation).max() * 128 < 0.01
        np.testing.assert_allclose(product_matrix[:3, 3], shift, atol=0.01)
