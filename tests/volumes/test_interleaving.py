"""Motion between odd and even slices: found where it is, and not where it is not."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.ndimage import affine_transform, gaussian_filter
from scipy.spatial.transform import Rotation

import medsr
from medsr.io.volumes import volume as volume_io
from medsr.io.volumes.base import Volume
from medsr.volumes.interleaving import interleaving_warnings

SLICES, STEP = 24, 4


def head(shift: tuple[float, float, float] = (0, 0, 0), degrees: float = 0.0, tilt: float = 0.0) -> np.ndarray:
    """(96, 96, 96) voxels of 2 x 2 x 1 mm: an ellipsoid with structures, moved, turned within its slices, or tilted."""
    field = gaussian_filter(np.random.default_rng(3).random((96, 96, 96)), (2.5, 2.5, 10))
    field = 100 + 400 * (field - field.min()) / np.ptp(field)
    x, y, z = np.ogrid[-1:1:96j, -1:1:96j, -1:1:96j]
    whole = gaussian_filter(np.where(x**2 / 0.6 + y**2 / 0.7 + z**2 / 1.2 < 1, field, 5), (0.7, 0.7, 1.5))
    turn = Rotation.from_euler("zx", [degrees, tilt], degrees=True).as_matrix()
    turn = turn * np.array([2, 2, 1]) / np.array([2, 2, 1])[:, None]
    middle = np.full(3, 47.5)
    return affine_transform(whole, turn, middle - turn @ middle - np.array(shift) / (2, 2, 1), order=3, mode="nearest")


def thick(fine: np.ndarray) -> np.ndarray:
    return fine.reshape(96, 96, SLICES, STEP).mean(axis=3)


def scan(odd: np.ndarray | None = None, noise: float = 5) -> Volume:
    """Slices of 4 mm; `odd`: what the odd ones show."""
    seen = thick(head())
    if odd is not None:
        seen[:, :, 1::2] = thick(odd)[:, :, 1::2]
    seen += noise * np.random.default_rng(0).standard_normal(seen.shape)
    return Volume(seen.astype(np.float32), np.diag([2, 2, STEP, 1.0]))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("shift", "degrees", "tilt"),
    [
        *(((1, 0, 0), 0, 0), ((0, -2, 0), 0, 0), ((0, 0, 1.5), 0, 0), ((1, 1, 1), 0, 0)),
        *(((0, 0, 0), 2, 0), ((0, 0, 0), 0, 2), ((0, 0, 0), 0, -4)),
    ],
)
def test_motion_is_found_and_its_size(shift: tuple[float, float, float], degrees: float, tilt: float) -> None:
    size = float(np.linalg.norm(shift)) + np.radians(degrees + abs(tilt)) * 60
    [warning] = interleaving_warnings(scan(head(shift, degrees, tilt)))
    assert float(warning.partition("about ")[2].partition(" mm")[0]) == pytest.approx(size, rel=0.35)


@pytest.mark.parametrize("turned", [(0, 1, 2), (2, 0, 1), (1, 2, 0)])
def test_the_axis_of_the_slices_is_found(turned: tuple[int, int, int]) -> None:
    moved = scan(head((1.5, 0, 0)))
    affine = np.diag([*(moved.grid.spacing[axis] for axis in turned), 1.0])
    assert interleaving_warnings(replace(moved, stored=moved.stored.transpose(turned), affine=affine))


def test_no_motion_no_warning() -> None:
    assert not interleaving_warnings(scan())
    brighter = scan()
    brighter.stored[:, :, 1::2] *= 1.2  # saturation and crosstalk change contrast by turns, too
    assert not interleaving_warnings(brighter)
    constant = replace(brighter, stored=np.zeros((64, 64, 20), np.int16))
    assert not interleaving_warnings(constant)


def test_one_slice_that_moved_is_not_a_half() -> None:
    single = scan(noise=2)
    single.stored[:, :, 12] = thick(head((3, 0, 0)))[:, :, 12]
    assert not interleaving_warnings(single)


@pytest.mark.parametrize("changes", [{"modality": "CT"}, {"wrapped": True}, {"affine": np.diag([1, 1, 1.2, 1])}])
def test_what_is_not_acquired_by_turns_is_not_looked_at(changes: dict) -> None:
    moved = scan(head((2, 0, 0)))
    assert interleaving_warnings(moved)
    assert not interleaving_warnings(replace(moved, **changes))


def test_the_result_says_so() -> None:
    moved = scan(head((2, 0, 0)))
    small = moved.stored[16:80, 16:80]
    summary = medsr.volume(small, affine=moved.affine, model="cubic").summary
    assert any("odd and even slices disagree by about" in warning for warning in summary["warnings"])
    within = medsr.volume(small, affine=moved.affine, model="cubic", spacing=(1, 1, STEP)).summary
    assert not any("odd and even" in warning for warning in within["warnings"])


@pytest.mark.slow
def test_real_scans_without_motion_are_left_alone(real_data: Path) -> None:
    paths = [*sorted((real_data / "mri_thick").rglob("*.nii.gz")), real_data / "mri_thick" / "fse_pd_dicom"]
    assert len(paths) >= 9
    for path in paths:
        image = volume_io.read(path)
        began = time.process_time()
        assert not interleaving_warnings(image), path
        assert time.process_time() - began < 2, path
