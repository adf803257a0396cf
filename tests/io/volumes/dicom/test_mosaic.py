"""Siemens mosaics: slices where nibabel sees them, volumes told apart, and refused where nothing tells the slices."""

from __future__ import annotations

import gzip
import io
import struct
import warnings
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import MRImageStorage

import medsr
from medsr.core.errors import InputError, UsageError
from medsr.io.volumes import volume as volume_io
from tests.helpers.dicom import slice_of, write_slices

REAL = Path(nib.__file__).parent / "nicom/tests/data/siemens_dwi_0.dcm.gz"
TILES, ROWS, COLUMNS = 5, 6, 8


def csa(tags: dict[str, list[str]]) -> bytes:
    """The private header of a Siemens scanner (version 2)."""
    parts = [b"SV10\4\3\2\1", struct.pack("<2I", len(tags), 77)]
    for name, items in tags.items():
        parts.append(struct.pack("<64si4s3i", name.encode(), len(items), b"FD", 4, len(items), 77))
        for item in items:
            text = item.encode() + b"\0"
            parts += [struct.pack("<4i", len(text), len(text), 77, len(text)), text + b"\0" * (-len(text) % 4)]
    return b"".join(parts)


def mosaic(number: int, shift: float = 0, upwards: bool = True, **tags: object) -> Dataset:
    """Five slices of 6 x 8, 4 mm apart, in a picture of 3 x 3 tiles; pixels say the time and the slice."""
    dataset = slice_of(0)
    normal = np.cross(*np.array(dataset.ImageOrientationPatient, float).reshape(2, 3))
    first = np.array(dataset.ImagePositionPatient, float) + shift * normal
    across, down = np.array(dataset.ImageOrientationPatient, float).reshape(2, 3)
    corner = first - across * 0.5 * COLUMNS * 2 / 2 - down * 0.7 * ROWS * 2 / 2  # as the scanner writes it
    picture = np.zeros((3 * ROWS, 3 * COLUMNS), np.uint16)
    for k in range(TILES):
        region = slice(k // 3 * ROWS, (k // 3 + 1) * ROWS), slice(k % 3 * COLUMNS, (k % 3 + 1) * COLUMNS)
        picture[region] = 100 * number + 10 * k + np.arange(COLUMNS)
    shown = {
        "Modality": "MR",
        "SOPClassUID": MRImageStorage,
        "ImageType": ["ORIGINAL", "PRIMARY", "M", "ND", "MOSAIC"],
        "InstanceNumber": number,
        "SpacingBetweenSlices": 4,
        "RescaleIntercept": 0,
        "ImagePositionPatient": [round(float(x), 6) for x in corner],
        "Rows": picture.shape[0],
        "Columns": picture.shape[1],
        "PixelData": picture.tobytes(),
    }
    for keyword, value in (shown | tags).items():
        setattr(dataset, keyword, value)
    sign = 1 if upwards else -1
    header = {"NumberOfImagesInMosaic": [str(TILES)], "SliceNormalVector": [f"{sign * x:.8f}" for x in normal]}
    dataset.private_block(0x0029, "SIEMENS CSA HEADER", create=True).add_new(0x10, "OB", csa(header))
    return dataset


@pytest.mark.skipif(not REAL.exists(), reason="nibabel came without its test data")
def test_a_real_mosaic_is_the_volume_that_nibabel_sees() -> None:
    ours = volume_io.read(REAL)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from nibabel.nicom.dicomwrappers import wrapper_from_data

        theirs = wrapper_from_data(dcmread(io.BytesIO(gzip.decompress(REAL.read_bytes()))))
    assert ours.notes == ()
    np.testing.assert_array_equal(ours.stored, theirs.get_data().transpose(1, 0, 2))
    for index in ((0, 0, 0), (127, 0, 47), (5, 100, 20)):
        there = theirs.affine @ [index[1], index[0], index[2], 1]
        np.testing.assert_allclose(ours.affine @ [*index, 1], there * [-1, -1, 1, 1], atol=1e-3)


@pytest.mark.parametrize("upwards", [True, False])
def test_one_mosaic_is_refined_and_written_as_the_slices_it_holds(tmp_path: Path, upwards: bool) -> None:
    folder = write_slices(tmp_path / "series", [mosaic(1, upwards=upwards)])
    volume = volume_io.read(folder)
    assert volume.stored.shape == (COLUMNS, ROWS, TILES)
    order = 10 * np.arange(TILES) if upwards else 10 * np.arange(TILES)[::-1]
    np.testing.assert_array_equal(volume.stored[0, 0], 100 + order)
    cosines = np.array(slice_of(0).ImageOrientationPatient, float).reshape(2, 3)
    lowest = slice_of(0).ImagePositionPatient - (0 if upwards else 4 * (TILES - 1)) * np.cross(*cosines)
    np.testing.assert_allclose(volume.affine[:3, 3] * [-1, -1, 1], lowest, atol=1e-3)
    (outcome,) = medsr.volume(folder, tmp_path / "out", model="cubic", kind="image", spacing=(0.5, 0.7, 2), dicom=True)
    assert outcome.error is None
    slices = [dcmread(file) for file in sorted((tmp_path / "out").rglob("*.dcm"))]
    assert len(slices) == 2 * TILES
    assert {(one.Rows, one.Columns, "MOSAIC" in one.ImageType) for one in slices} == {(ROWS, COLUMNS, False)}


def test_mosaics_are_the_time_points_of_a_series(tmp_path: Path) -> None:
    volume = volume_io.read(write_slices(tmp_path / "series", [mosaic(number) for number in (2, 1, 3)]))
    assert volume.stored.shape == (COLUMNS, ROWS, TILES, 3)
    np.testing.assert_array_equal(volume.stored[0, 0, 1], [110, 210, 310])


def test_mosaics_that_were_moved_are_never_mixed(tmp_path: Path) -> None:
    folder = write_slices(tmp_path / "series", [mosaic(1), mosaic(2, shift=0.4)])
    with pytest.raises(UsageError, match="2 acquisitions"):
        volume_io.read(folder)
    moved = volume_io.read(folder, ":2")
    np.testing.assert_array_equal(moved.stored[0, 0], 200 + 10 * np.arange(TILES))


def test_a_mosaic_without_what_tells_its_slices_apart_is_refused(tmp_path: Path) -> None:
    without = mosaic(1)
    without.remove_private_tags()
    with pytest.raises(InputError, match=r"private header .* missing"):
        volume_io.read(write_slices(tmp_path / "a", [without]))
    with pytest.raises(InputError, match="distance of its slices"):
        volume_io.read(write_slices(tmp_path / "b", [mosaic(1, SpacingBetweenSlices=None)]))
