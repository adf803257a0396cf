"""Every volume of the real data, written anew on its own grid: the voxels and positions that other readers find."""

from __future__ import annotations

import itertools
import os
from pathlib import Path

import nibabel as nib
import numpy as np
import pydicom
import pytest
import SimpleITK as sitk

from medsr.commands.volume.run import volume
from medsr.io.volumes import formats, volume_files
from medsr.io.volumes import volume as volume_io

FOLDERS = ("odd", "mri", "mri_thick", "ct")
SERIES = ("ct/head_gantry_tilt_dicom", "mri_thick/fse_pd_dicom")
LARGEST = 30_000_000
STUDY = "ds002748"
"""Eight subjects written by one program: the first is looked at."""
SUFFIXES = (*formats.SUFFIXES, ".mnc", ".par", ".rec")
REFUSED = {
    # No volumes of one number a voxel: medsr has nothing to refine.
    "odd/itksnap/X300.mha": "a 2D image",
    "odd/medpy_2d_nifti/b0.nii.gz": "a 2D image",
    "odd/medpy_2d_nifti/brainmask.nii.gz": "a 2D image",
    "odd/itksnap/tdigest_test.nii.gz": "one slice",
    "odd/itksnap/multi_chunk.nii.gz": "2 numbers a voxel",
    "odd/itksnap/tensor_rgb.nii.gz": "3 numbers a voxel",
    "odd/nifti_reader_js/5D_small.nii": "3 numbers a voxel",
    "odd/nifti_reader_js/5D_zeros.nii.gz": "3 numbers a voxel",
    "odd/nibabel/row_major.dconn.nii": "Cifti2Image is not handled",
    # Voxels that cannot be computed with, a header that contradicts itself.
    "odd/itksnap/nan.mha": "NaN or infinite",
    "odd/oro_nifti/avg152T1.hdr.gz": "voxel spacing is -2, 2, 2",
    # Formats that the documentation leaves out, and what is none.
    "odd/nibabel/tiny.mnc": "MINC is not handled",
    "odd/nibabel/small.mnc": "MINC is not handled",
    "odd/nibabel/minc2_4d.mnc": "MINC is not handled",
    "odd/nibabel/phantom_EPI_asc_CLEAR_2_1.PAR": "PAR/REC is not handled",
    "odd/nibabel/phantom_EPI_asc_CLEAR_2_1.REC": "PAR/REC is not handled",
    "odd/nibabel/phantom_truncated.PAR": "PAR/REC is not handled",
    "odd/nibabel/phantom_truncated.REC": "PAR/REC is not handled",
    "odd/nifti_reader_js/not-nifti.nii": "not a readable volume",
}
"""Files that medsr refuses, each with words of the reason it gives."""


def _files() -> list[str]:
    """The volume files of the real data; of header and data, the header."""
    root = os.environ.get("MEDSR_TEST_DATA")
    if not root:
        return []
    found = itertools.chain.from_iterable(sorted(Path(root, folder).rglob("*")) for folder in FOLDERS)
    scans = (path for path in found if path.is_file() and path.name.lower().endswith(SUFFIXES))
    scans = (path for path in scans if path.parent.name != STUDY or path.name.startswith("sub-01"))
    pairs = (path for path in scans if volume_files.is_volume(path) or path.suffix.lower() in (".mnc", ".par", ".rec"))
    return [path.relative_to(root).as_posix() for path in pairs]


def _written_anew(source: Path, folder: Path) -> Path:
    """By `medsr volume`; the largest, whose pictures take minutes, by what it reads and writes with."""
    scan = volume_io.read(source)
    if scan.stored.size > LARGEST:
        volume_io.write(folder / source.name, scan)
        return folder / source.name
    del scan
    [outcome] = volume(source, folder, model="cubic", scale=1)
    if outcome.error is not None:
        raise outcome.error
    return Path(outcome.output)


@pytest.mark.slow
@pytest.mark.parametrize("name", _files())
def test_a_volume_written_anew_is_the_same_to_other_readers(real_data: Path, tmp_path: Path, name: str) -> None:
    if name in REFUSED:
        [outcome] = volume(real_data / name, tmp_path, model="cubic", scale=1)
        assert outcome.error is not None
        assert outcome.error.exit_code == 3
        assert REFUSED[name] in str(outcome.error)
        return
    target = _written_anew(real_data / name, tmp_path)
    (_same_by_itk if target.suffix in (".nrrd", ".nhdr", ".mha", ".mhd") else _same_by_nibabel)(
        real_data / name, target
    )


def _same_by_nibabel(source: Path, target: Path) -> None:
    before, after = nib.load(source), nib.load(target)
    assert type(after) is type(before)
    assert after.shape == before.shape
    assert after.get_data_dtype() == before.get_data_dtype()
    for part in range(before.shape[2]):  # a slice at a time, scaled as the header says
        np.testing.assert_array_equal(
            np.asanyarray(after.dataobj[:, :, part]), np.asanyarray(before.dataobj[:, :, part])
        )
    np.testing.assert_allclose(after.affine, before.affine, rtol=1e-6, atol=1e-4)
    np.testing.assert_allclose(after.header.get_zooms(), before.header.get_zooms(), rtol=1e-6)
    for form in ("qform", "sform") if isinstance(before, nib.Nifti1Pair) else ():
        (theirs, code), (ours, our_code) = (getattr(one.header, f"get_{form}")(coded=True) for one in (before, after))
        assert code == our_code
        if theirs is not None:
            np.testing.assert_allclose(ours, theirs, rtol=1e-6, atol=1e-4)


def _same_by_itk(source: Path, target: Path) -> None:
    before, after = sitk.ReadImage(str(source)), sitk.ReadImage(str(target))
    assert after.GetPixelIDTypeAsString() == before.GetPixelIDTypeAsString()
    np.testing.assert_array_equal(sitk.GetArrayViewFromImage(after), sitk.GetArrayViewFromImage(before))
    for corner in itertools.product(*((0, length - 1) for length in before.GetSize())):
        np.testing.assert_allclose(
            after.TransformIndexToPhysicalPoint(corner), before.TransformIndexToPhysicalPoint(corner), atol=1e-4
        )


@pytest.mark.slow
@pytest.mark.parametrize("name", SERIES)
def test_every_slice_of_a_series_lies_where_its_header_says(real_data: Path, tmp_path: Path, name: str) -> None:
    """By pydicom: position and values of every slice that none was interpolated for, to a tenth of a voxel."""
    image = nib.load(_written_anew(real_data / name, tmp_path))
    stored = np.asanyarray(image.dataobj)
    slices = [pydicom.dcmread(path) for path in (real_data / name).rglob("*") if pydicom.misc.is_dicom(path)]
    placed = 0
    for one in slices:
        corner = np.array([*(np.array(one.ImagePositionPatient, float) * [-1, -1, 1]), 1])
        i, j, k = (np.linalg.inv(image.affine) @ corner)[:3]
        assert abs(i) < 0.1
        assert abs(j) < 0.1
        assert -0.1 < k < stored.shape[2] - 0.9
        if len(slices) == stored.shape[2] or abs(k - round(k)) < 1e-4:  # a rounding apart
            meant = one.pixel_array * float(one.get("RescaleSlope", 1)) + float(one.get("RescaleIntercept", 0))
            np.testing.assert_allclose(stored[:, :, round(k)], meant.T, atol=1)
            placed += 1
    assert placed > 1
