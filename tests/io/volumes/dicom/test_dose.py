"""Radiotherapy dose grids: the voxels, places and values that SimpleITK sees, or refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from pydicom.dataset import Dataset

import medsr
from medsr.core.errors import InputError
from medsr.io.volumes import volume as volume_io
from medsr.io.volumes.dicom.dose import SOP_CLASS
from tests.helpers.dicom import slice_of

PLANES = 7


def dose(path: Path, **changes: object) -> Path:
    """A grid of 8 x 6 x 7 voxels of 32 bits, 3 mm apart."""
    values = np.random.default_rng(0).integers(10_000, 4_000_000, (PLANES, 6, 8)).astype(np.uint32)
    dataset: Dataset = slice_of(0)
    del dataset.RescaleSlope, dataset.RescaleIntercept
    shown = {
        "SOPClassUID": SOP_CLASS,
        "Modality": "RTDOSE",
        "NumberOfFrames": PLANES,
        "FrameIncrementPointer": 0x3004000C,
        "GridFrameOffsetVector": [3 * k for k in range(PLANES)],
        "DoseGridScaling": "0.00002",
        "DoseUnits": "GY",
        "BitsAllocated": 32,
        "BitsStored": 32,
        "HighBit": 31,
        "PixelData": values.tobytes(),
    }
    for keyword, value in (shown | changes).items():
        setattr(dataset, keyword, value)
    dataset.file_meta.MediaStorageSOPClassUID = SOP_CLASS
    dataset.save_as(path, enforce_file_format=True)
    return path


def test_a_dose_grid_is_what_simpleitk_sees(tmp_path: Path) -> None:
    volume = volume_io.read(dose(tmp_path / "dose.dcm"))
    image = sitk.ReadImage(str(tmp_path / "dose.dcm"))
    np.testing.assert_array_equal(volume.stored, sitk.GetArrayFromImage(image).T)  # which does not scale them
    assert (volume.slope, volume.intercept) == (0.00002, 0)
    for index in ((0, 0, 0), (7, 5, 6), (2, 3, 4)):
        there = np.array(image.TransformIndexToPhysicalPoint(index)) * [-1, -1, 1]
        np.testing.assert_allclose((volume.affine @ [*index, 1])[:3], there, atol=1e-3)


def test_planes_may_run_downwards_or_name_their_own_z(tmp_path: Path) -> None:
    usual = volume_io.read(dose(tmp_path / "a.dcm"))
    downwards = volume_io.read(dose(tmp_path / "b.dcm", GridFrameOffsetVector=[-3 * k for k in range(PLANES)]))
    np.testing.assert_array_equal(downwards.stored, usual.stored[:, :, ::-1])
    places = {"ImageOrientationPatient": [1, 0, 0, 0, 1, 0], "ImagePositionPatient": [0, 0, 40]}
    absolute = dose(tmp_path / "c.dcm", GridFrameOffsetVector=[40 + 3 * k for k in range(PLANES)], **places)
    np.testing.assert_allclose(
        volume_io.read(absolute).affine, volume_io.read(dose(tmp_path / "d.dcm", **places)).affine
    )


def test_a_dose_is_interpolated_in_its_own_units(tmp_path: Path) -> None:
    path, lines = dose(tmp_path / "dose.dcm"), list[str]()
    (outcome,) = medsr.volume(path, tmp_path / "out.nii.gz", spacing=(0.5, 0.7, 1.5), notify=lines.append)
    assert outcome.error is None
    assert any("no bundled model was made for RTDOSE" in line for line in lines)
    before, after = (volume_io.read(file) for file in (path, tmp_path / "out.nii.gz"))
    assert after.stored.mean() * after.slope == pytest.approx(before.stored.mean() * before.slope, rel=0.02)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"GridFrameOffsetVector": None}, "7 planes and 0 places"),
        ({"DoseGridScaling": "0"}, "without DoseGridScaling"),
        ({"GridFrameOffsetVector": [5 + 3 * k for k in range(PLANES)]}, "does not begin at 0, in oblique"),
        ({"ImagePositionPatient": None}, "without position"),
    ],
)
def test_a_dose_grid_that_does_not_say_where_or_what_it_is_is_refused(
    tmp_path: Path, changes: dict[str, object], said: str
) -> None:
    with pytest.raises(InputError, match=said):
        volume_io.read(dose(tmp_path / "dose.dcm", **changes))
