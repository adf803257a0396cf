"""Volumes to train on: which are ground truth, what is left out."""

from __future__ import annotations

import zipfile
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from medsr.core.errors import UsageError
from medsr.data.slices import SliceCrops
from medsr.data.volumes import foreground, load, split
from medsr.recipe import Data
from tests.helpers.dicom import slice_of
from tests.helpers.scans import smooth_volume


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
    measured = split(Data(train=str(folder), validation="sub-3*"), 32, 0)
    assert [source.path.name for source in measured.train] == ["sub-0.nii.gz", "sub-1.nii.gz", "sub-2.nii.gz"]
    assert [path.name for path in measured.held_out] == ["sub-3.nii.gz"]
    reasons = {path.name: reason for path, reason in measured.skipped}
    assert set(reasons) == {"thick.nii.gz", "small.nii.gz", "broken.nii.gz", folder.name}
    assert reasons[folder.name] == "left out, not scans: notes.txt"
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


def test_foreground_at_an_edge_is_no_smaller_than_a_crop(tmp_path: Path) -> None:
    """A head that is cut off by the edge of the scan: crops of every place have the side asked for."""
    volume = np.zeros((110, 110, 90), np.float32)
    volume[:30, 80:, 10:80] = 1 + smooth_volume((30, 30, 70))
    part = foreground(volume, 96)
    assert part.shape == (96, 96, 90)
    assert part.max() == volume.max()
    np.testing.assert_array_equal(part[:30, -30:, 10:80], volume[:30, 80:, 10:80])
    crops = SliceCrops(part, Data(flips=False, darkest_crop=0), 90, 0)
    assert {crops[iteration, 0][0].shape for iteration in range(12)} == {(1, 90, 90)}


def test_training_finds_scans_as_volume_does_and_names_what_it_leaves_out(tmp_path: Path) -> None:
    series(tmp_path / "dicom" / "A", range(0, 40, 2))
    series(tmp_path / "dicom" / "B", range(1, 40, 2))
    image = nib.Nifti1Image(smooth_volume((40, 44, 48)), np.eye(4))
    image.to_filename(tmp_path / "plain.nii.gz")
    with zipfile.ZipFile(tmp_path / "zipped.zip", "w") as archive:
        archive.write(tmp_path / "plain.nii.gz", "inside.nii.gz")
    (tmp_path / "plain.nii.gz").rename(tmp_path / "by_content.dat")
    (tmp_path / "notes.txt").write_text("no volume")
    for uid in ("1.2", "1.3"):
        series(tmp_path / "mixed", range(40), uid)
    parts = split(Data(train=str(tmp_path), validation=0.0), 32, 0)
    assert {source.path.name for source in parts.train} == {"dicom", "by_content.dat", "zipped.zip"}
    assert {source.spacing for source in parts.train} == {(1, 1, 1)}
    lines = " ".join(reason for _, reason in parts.skipped)
    assert "notes.txt" in lines
    assert f"several DICOM series in one folder, give each its own: {tmp_path / 'mixed'}" in lines


def series(folder: Path, numbers: range, uid: str = "1.1") -> None:
    """Slices of one DICOM series, 1 mm apart."""
    folder.mkdir(parents=True, exist_ok=True)
    for k in numbers:
        pixels = smooth_volume((40, 44, 40))[:, :, k].astype(np.uint16)
        tags = {"Rows": 40, "Columns": 44, "PixelSpacing": [1, 1], "SliceThickness": 1, "SeriesInstanceUID": uid}
        tags |= {
            "PixelData": pixels.tobytes(),
            "ImageOrientationPatient": [1, 0, 0, 0, 1, 0],
            "ImagePositionPatient": [0, 0, k],
            "SOPInstanceUID": f"{uid}.{k + 1}",
        }
        slice_of(k, **tags).save_as(folder / f"{uid}-{k}.dcm", enforce_file_format=True)
