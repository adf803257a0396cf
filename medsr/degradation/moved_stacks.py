"""Several thick scans of one volume, the patient moved between them: motion, gain, slice profile and noise of each."""

from __future__ import annotations

import os
import zlib
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import affine_transform
from scipy.spatial.transform import Rotation

from medsr.core.geometry import Grid
from medsr.core.types import Array
from medsr.degradation.slice_profile import matrix

MOST_MM, MOST_DEGREES = 8.0, 8.0
"""How far the middle of the patient moves, and by how much the patient turns around it."""
GAINS = 0.8, 1.25
"""What a scan's receiver multiplies values by, compared with the first scan's."""
NOISE = 0.02
"""Standard deviation of each of the two channels whose magnitude is a scan's value, in its own unit values."""
SEED = 27
ORDER = 5
"""Of the B-spline that moves the volume: the finest detail passes it, unlike a cubic one."""


@dataclass(frozen=True, eq=False)
class Disturbance:
    """What differs from scan to scan. `motion`: (4, 4) mm, a point of the first scan's space to where this scan shows
    it. `seed`: of the noise."""

    motion: NDArray[np.float64]
    gain: float
    seed: tuple[int, ...]


def draw(name: str, index: int, middle: NDArray[np.float64]) -> Disturbance:
    """That of the scan number `index` of the patient `name`, who turns around `middle` (3, mm). The first lies still.

    A function of its arguments alone: the same whatever else is drawn. The length of the shift and the angle are
    uniform up to their largest, their directions uniform on the sphere, the gain uniform in its logarithm.
    """
    seed = (SEED, zlib.crc32(os.fsencode(name)), index)
    if index == 0:
        return Disturbance(np.eye(4), 1.0, (*seed, 1))
    rng = np.random.default_rng((*seed, 0))
    shift = rng.uniform(0, MOST_MM) * _direction(rng)
    rotation = rng.uniform(0, np.radians(MOST_DEGREES)) * _direction(rng)
    gain = float(np.exp(rng.uniform(*np.log(GAINS))))
    return Disturbance(turned_around(middle, rotation, shift), gain, (*seed, 1))


def turned_around(
    middle: NDArray[np.float64], rotation: NDArray[np.float64], shift: NDArray[np.float64]
) -> NDArray[np.float64]:
    """(4, 4): turned around a point by a vector of rotation (3, radians), then shifted (3, mm)."""
    motion = np.eye(4)
    motion[:3, :3] = Rotation.from_rotvec(rotation).as_matrix()
    motion[:3, 3] = middle + shift - motion[:3, :3] @ middle
    return motion


def moved(
    volume: Array,
    grid: Grid,
    motion: NDArray[np.float64],
    outside: Literal["grid-constant", "nearest"] = "grid-constant",
) -> Array:
    """The volume on `grid` after the patient moved; what comes from outside it is 0, or the nearest of its edge.

    `volume`: values whose first voxel is the grid's, with its steps; it may reach further. Interpolated once.
    """
    i, j, k = grid.shape
    if np.array_equal(motion, np.eye(4)):
        return np.ascontiguousarray(volume[:i, :j, :k])
    source = np.linalg.inv(grid.affine) @ np.linalg.inv(motion) @ grid.affine
    result: Array = affine_transform(
        volume, source, output_shape=grid.shape, output=np.float32, order=ORDER, mode=outside
    )
    return result


def thick_stack(fine: Array, axis: int, coarse: int, disturbance: Disturbance, noise: float = NOISE) -> Array:
    """What a scan shows of a volume, moved already: `coarse` slices along `axis`, times its gain, with Rician noise."""
    operator = matrix(fine.shape[axis], coarse).astype(np.float32)
    thick = np.moveaxis(np.tensordot(operator, fine, (1, axis)), 0, axis) * np.float32(disturbance.gain)
    if noise:
        rng = np.random.default_rng(disturbance.seed)
        real, imaginary = (rng.standard_normal(thick.shape, np.float32) * np.float32(noise) for _ in range(2))
        thick = np.hypot(thick + real, imaginary)
    return np.ascontiguousarray(thick, np.float32)


def _direction(rng: np.random.Generator) -> NDArray[np.float64]:
    vector = rng.standard_normal(3)
    result: NDArray[np.float64] = vector / np.linalg.norm(vector)
    return result
