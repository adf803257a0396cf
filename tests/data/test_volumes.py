"""Volumes to train on: which are ground truth, what is left out."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from medsr.data.volumes import foreground, load, split
from medsr.errors import UsageError
from medsr.recipe import Data
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


def test_the_foreground_is_cut_out_with_a_margin(folder: Path) -> None:
    volume = np.zeros((200, 150, 120), np.float32)
    volume[90:130, 60:100, 40:90] = 1
    assert foreground(volume, 20).shape == (40 + 16, 40 + 16, 50 + 16)
    assert foreground(volume, 100).shape == (100, 100, 100)
    assert foreground(np.zeros((30, 20, 25), np.float32)).shape == (30, 20, 25)
    assert load(folder / "sub-0.nii.gz").dtype == np.float32
