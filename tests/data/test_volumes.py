"""Training slices from volumes: P2's six pairings, contrasts, what is left out."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from medsr.data.volumes import PAIRINGS, SliceCrops, foreground, load, recoloured, split
from medsr.errors import UsageError
from medsr.recipe import Data, Jitter
from tests.conftest import smooth_volume


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for index in range(4):
        image = nib.Nifti1Image(smooth_volume((40, 44, 48), index), np.diag([1, 1, 1.1, 1]))
        image.to_filename(tmp_path / f"sub-{index}.nii.gz")
    nib.Nifti1Image(smooth_volume((40, 44, 48)), np.diag([1, 1, 3, 1])).to_filename(tmp_path / "thick.nii.gz")
    nib.Nifti1Image(smooth_volume((40, 44, 12)), np.eye(4)).to_filename(tmp_path / "small.nii.gz")
    (tmp_path / "broken.nii.gz").write_bytes(b"no")
    (tmp_path / "notes.txt").write_text("no volume")
    return tmp_path


def test_what_is_no_ground_truth_is_left_out_with_its_reason(folder: Path) -> None:
    found = split(Data(train=str(folder), validation="sub-3*"), 32, 0)
    assert [source.path.name for source in found.train] == ["sub-0.nii.gz", "sub-1.nii.gz", "sub-2.nii.gz"]
    assert [path.name for path in found.held_out] == ["sub-3.nii.gz"]
    reasons = {path.name: reason for path, reason in found.skipped}
    assert set(reasons) == {"thick.nii.gz", "small.nii.gz", "broken.nii.gz"}
    assert "not isotropic" in reasons["thick.nii.gz"]
    with pytest.raises(UsageError, match="no isotropic volume"):
        split(Data(train=str(folder), pattern="thick*"), 32, 0)


def test_crops_are_slices_of_the_volume_in_all_six_pairings() -> None:
    """Each axis of the volume counts its own voxels, so a crop says where it is from."""
    i, j, k = np.meshgrid(np.arange(40), np.arange(40), np.arange(40), indexing="ij")
    volume = (i * 10_000 + j * 100 + k).astype(np.float32)
    assert len(PAIRINGS) == 6
    for pairing in PAIRINGS:
        crops = SliceCrops(volume, Data(flips=False, darkest_crop=0), 32, 0, (pairing,))
        crop = crops[1, 0][0].numpy()[0].astype(int)
        coordinates = np.stack([crop // 10_000, crop // 100 % 100, crop % 100])
        normal, rows = pairing
        assert len(np.unique(coordinates[normal])) == 1
        assert (np.diff(coordinates[rows], axis=0) == 1).all()
        assert (np.diff(coordinates[3 - normal - rows], axis=1) == 1).all()


def test_crops_are_a_function_of_seed_iteration_and_slot(folder: Path) -> None:
    sources = split(Data(train=str(folder), validation=0), 32, 0).train
    data = Data(jitter=Jitter(gain=(0.7, 1.2), contrast=0.5))
    one, other = SliceCrops(sources, data, 32, 5), SliceCrops(sources, data, 32, 5)
    np.testing.assert_array_equal(one[7, 3][0], other[7, 3][0])
    assert not np.array_equal(one[7, 3][0], one[8, 3][0])
    assert one[1, 0][0].shape == (1, 32, 32)


def test_a_random_contrast_moves_tissues_not_edges() -> None:
    crop = np.kron(np.array([[0.1, 0.5], [0.9, 0.5]], np.float32), np.ones((8, 8), np.float32))
    changed = recoloured(crop, Jitter(contrast=1.0), np.random.default_rng(0))
    assert len(np.unique(changed)) == 3
    assert not np.allclose(changed, crop)
    np.testing.assert_array_equal(recoloured(crop, Jitter(), np.random.default_rng(0)), crop)


def test_the_foreground_is_cut_out_with_a_margin(folder: Path) -> None:
    volume = np.zeros((200, 150, 120), np.float32)
    volume[90:130, 60:100, 40:90] = 1
    assert foreground(volume, 20).shape == (40 + 16, 40 + 16, 50 + 16)
    assert foreground(volume, 100).shape == (100, 100, 100)
    assert foreground(np.zeros((30, 20, 25), np.float32)).shape == (30, 20, 25)
    assert load(folder / "sub-0.nii.gz").dtype == np.float32
