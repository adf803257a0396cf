"""What is DICOM is known by its first bytes, with a preamble or without, packed or not, whatever it is called."""

from __future__ import annotations

import gzip
import zipfile
from pathlib import Path

import numpy as np
import pytest

from medsr.io.dicom import files, signature
from medsr.io.images import image as image_io
from medsr.io.volumes import volume as volume_io
from tests.helpers.dicom import slice_of, write_bare, write_slices


@pytest.fixture
def whole(tmp_path: Path) -> np.ndarray:
    return volume_io.read(write_slices(tmp_path / "whole", [slice_of(k) for k in range(4)])).stored


@pytest.mark.parametrize("suffix", ["", ".IMA", ".img", ".dcm", ".1"])
@pytest.mark.parametrize(("implicit", "little"), [(True, True), (False, True), (False, False)])
def test_slices_without_preamble_are_read(
    tmp_path: Path, whole: np.ndarray, suffix: str, implicit: bool, little: bool
) -> None:
    for k in range(4):
        write_bare(tmp_path / "bare" / f"IM{k}{suffix}", slice_of(k), implicit, little)
    scan = volume_io.read(tmp_path / "bare")
    np.testing.assert_array_equal(scan.stored, whole)
    assert scan.notes == ()


def test_slices_of_which_some_lack_the_preamble_are_one_scan(tmp_path: Path, whole: np.ndarray) -> None:
    write_slices(tmp_path / "mixed", [slice_of(k) for k in range(2)])
    for k in (2, 3):
        write_bare(tmp_path / "mixed" / f"IM{k}", slice_of(k))
    np.testing.assert_array_equal(volume_io.read(tmp_path / "mixed").stored, whole)


def test_an_image_without_preamble_and_suffix_is_one(tmp_path: Path) -> None:
    path = write_bare(tmp_path / "IM0", slice_of(3))
    assert image_io.read(path).kind == image_io.DICOM
    assert image_io.list_images(tmp_path) == [path]


def test_slices_packed_one_by_one_are_read(tmp_path: Path, whole: np.ndarray) -> None:
    folder = write_slices(tmp_path / "packed", [slice_of(k) for k in range(4)])
    for path in list(folder.iterdir()):
        path.with_name(path.name + ".gz").write_bytes(gzip.compress(path.read_bytes()))
        path.unlink()
    np.testing.assert_array_equal(volume_io.read(folder).stored, whole)


def test_what_is_not_dicom_in_a_zip_is_not_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_slices(tmp_path / "series", [slice_of(k) for k in range(4)])
    with zipfile.ZipFile(tmp_path / "scan.zip", "w") as archive:
        for path in (tmp_path / "series").iterdir():
            archive.write(path, f"S\u00e9rie 3/{path.name}")
            archive.writestr(f"__MACOSX/S\u00e9rie 3/._{path.name}", b"\x00\x05\x16\x07" + bytes(100))
        archive.writestr("VIEWER/viewer.exe", b"MZ" + bytes(5000))
    unpacked = []
    monkeypatch.setattr(
        files,
        "_unpack",
        lambda path, one, do=files._unpack: (unpacked.append(one.filename), do(path, one))[1],
    )
    scan = volume_io.read(tmp_path / "scan.zip")
    assert scan.stored.shape == (8, 6, 4)
    assert scan.notes == ("1 file(s) that are not DICOM images left out: viewer.exe",)
    assert not [name for name in unpacked if "VIEWER" in name]


@pytest.mark.parametrize("head", [b"", b"\x08\0", b"\x08\0\x05\0hello, world....", b"GIF89a" + bytes(20), bytes(200)])
def test_other_bytes_are_not_taken_for_dicom(head: bytes) -> None:
    assert not signature.begins_as_dicom(head)
