"""Series of several volumes against other readers: dcm2niix for what is read, dciodvfy for what is written."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pydicom
import pytest
from pydicom.data import get_testdata_file
from pydicom.uid import generate_uid

from medsr.io.volumes import volume as volume_io
from medsr.io.volumes.dicom.write import write_series

VOLUMES, SLICES = 3, 8
TAGS: dict[str, list[Any]] = {
    "TemporalPositionIdentifier": [1, 2, 3],
    "DiffusionBValue": [0.0, 500.0, 1000.0],
    "AcquisitionNumber": [1, 2, 3],
    "TriggerTime": [0.0, 40.0, 80.0],
    "none": [0, 0, 0],
}


def mr_series(folder: Path, tag: str) -> Path:
    """Volumes of random values under the header of a real MR image.

    Numbered volume by volume: dcm2niix mixes the volumes of series that are numbered place by place.
    """
    rng, (series, frame) = np.random.default_rng(1), (generate_uid(None), generate_uid(None))
    folder.mkdir()
    for n, k in np.ndindex(VOLUMES, SLICES):
        dataset = pydicom.dcmread(str(get_testdata_file("MR_small.dcm")))
        dataset.Manufacturer, dataset.SeriesInstanceUID, dataset.FrameOfReferenceUID = "SIEMENS", series, frame
        dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = generate_uid(None)
        dataset.ImagePositionPatient = [-100, -80, round(3.5 * k - 10, 4)]
        dataset.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
        dataset.SliceThickness = dataset.SpacingBetweenSlices = 3.5
        dataset.InstanceNumber = SLICES * n + k + 1
        dataset.PixelData = rng.integers(0, 2000, (dataset.Rows, dataset.Columns), np.int16).tobytes()
        for stale in ("SmallestImagePixelValue", "LargestImagePixelValue", "PixelPaddingValue"):
            if stale in dataset:
                del dataset[stale]
        if tag != "none":
            setattr(dataset, tag, TAGS[tag][n])
        dataset.save_as(folder / f"{(SLICES * n + k) * 7 % 24:02d}.dcm")
    return folder


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("dcm2niix") is None, reason="dcm2niix (Debian: dcm2niix) is not installed")
@pytest.mark.parametrize("tag", list(TAGS))
def test_volumes_and_their_places_are_those_of_dcm2niix(tmp_path: Path, tag: str) -> None:
    folder, out = mr_series(tmp_path / "series", tag), tmp_path / "out"
    out.mkdir()
    subprocess.run(["dcm2niix", "-b", "n", "-z", "n", "-f", "s", "-o", out, folder], check=True, capture_output=True)
    [file] = out.glob("*.nii")
    theirs, ours = nib.load(file), volume_io.read(folder)  # type: ignore[attr-defined]
    assert ours.stored.shape == theirs.shape == (64, 64, SLICES, VOLUMES)
    # Theirs has its rows the other way round, with an affine that says so.
    rows = np.asanyarray(theirs.dataobj)[:, ::-1]
    np.testing.assert_array_equal(ours.stored, rows)
    turned = theirs.affine @ [[1, 0, 0, 0], [0, -1, 0, 63], [0, 0, 1, 0], [0, 0, 0, 1]]
    np.testing.assert_allclose(ours.affine, turned, atol=1e-3)


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="dciodvfy (Debian: dicom3tools) is not installed")
@pytest.mark.parametrize("tag", list(TAGS))
def test_a_derived_series_of_volumes_has_no_more_errors_than_its_source(tmp_path: Path, tag: str) -> None:
    folder = mr_series(tmp_path / "series", tag)
    volume = volume_io.read(folder)
    write_series(tmp_path / "derived", volume.refined(np.repeat(volume.stored, 2, axis=2)), "Super-resolved")
    before = set.union(*map(errors_of, folder.iterdir()))
    assert set.union(*map(errors_of, (tmp_path / "derived").iterdir())) <= before


def errors_of(path: Path) -> set[str]:
    lines = subprocess.run(["dciodvfy", str(path)], capture_output=True, text=True, errors="replace", check=False)
    return {line for line in (lines.stderr + lines.stdout).splitlines() if line.startswith("Error")}
