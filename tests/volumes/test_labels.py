"""Label maps: told from images, brought onto other grids without new values."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from medsr.core.geometry import Grid
from medsr.io.volumes import volume as volume_io
from medsr.volumes.labels import is_label_map, nearest, resampled_to
from tests.helpers.scans import smooth_volume


@pytest.mark.parametrize("dtype", ["uint8", "int16", "int32", "float32"])
def test_label_maps_are_recognised_whatever_their_dtype(dtype: str) -> None:
    patches = np.kron(np.random.default_rng(0).integers(0, 120, (6, 6, 6)), np.ones((5, 5, 5))).astype(dtype)
    assert is_label_map(patches)
    assert is_label_map((smooth_volume() > 500).astype(dtype))


def test_images_are_not_label_maps() -> None:
    image = smooth_volume()
    assert not is_label_map(image)
    assert not is_label_map((image / 4).astype(np.uint8))
    assert not is_label_map((image * 0.1).astype(np.float32))
    assert not is_label_map(np.full((5, 5, 5), 3))
    assert not is_label_map(np.random.default_rng(0).integers(0, 200, (20, 20, 20)).astype(np.uint8))


@pytest.mark.slow
def test_real_scans_are_told_apart(real_data: Path) -> None:
    images = [*(real_data / "mri" / "other").glob("*.nii.gz"), real_data / "mri_thick" / "chris_PD.nii.gz"]
    images += [real_data / "odd" / "nifti_reader_js" / "avg152T1_LR_nifti.nii.gz"]
    assert len(images) == 7
    for path in images:
        assert not is_label_map(volume_io.read(path).stored), path
    for name in ("xtk/smalllabelmap.nrrd", "itksnap/vb-seg.mha"):
        assert is_label_map(volume_io.read(real_data / "odd" / name).stored), name


def test_nearest_takes_the_voxel_the_centre_lies_in() -> None:
    stored = np.arange(3)[:, None, None] * np.ones((1, 2, 2), int)
    np.testing.assert_array_equal(nearest(stored, (6, 2, 2))[:, 0, 0], [0, 0, 1, 1, 2, 2])
    np.testing.assert_array_equal(nearest(stored, (5, 2, 2))[:, 0, 0], [0, 0, 1, 2, 2])
    assert nearest(np.zeros((3, 2, 2, 4)), (6, 4, 4)).shape == (6, 4, 4, 4)


def test_another_grid_keeps_labels_and_positions() -> None:
    stored = np.zeros((20, 20, 20), np.uint8)
    stored[8:12, 8:12, 8:12] = 7
    affine = np.diag([2.0, 2, 2, 1])
    shifted = np.diag([-1.0, 1, 1, 1])
    shifted[:3, 3] = [39, 0, 0]
    moved = resampled_to(stored, affine, Grid((40, 40, 40), shifted), labels=True)
    assert set(np.unique(moved)) == {0, 7}
    centre = (shifted @ [*(np.argwhere(moved == 7).mean(0)), 1])[:3]
    np.testing.assert_allclose(centre, (affine @ [9.5, 9.5, 9.5, 1])[:3], atol=0.51)
    image = resampled_to((stored * 30).astype(np.uint8), affine, Grid((40, 40, 40), shifted), labels=False)
    assert image.dtype == np.uint8
    assert image.max() > 200
