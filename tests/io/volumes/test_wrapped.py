"""Scans in zips and packed by gzip: read whole, or refused for the right reason."""

from __future__ import annotations

import gzip
import zipfile
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk

from medsr.core.errors import InputError
from medsr.io.volumes import volume as volume_io

VALUES = np.arange(5 * 6 * 7, dtype=np.int16).reshape(5, 6, 7)


def test_a_pair_of_header_and_data_in_a_zip_is_read(tmp_path: Path) -> None:
    nib.save(nib.Nifti1Pair(VALUES, np.diag([1.0, 1, 4, 1])), tmp_path / "a.hdr")
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for name in ("a.hdr", "a.img"):
            archive.write(tmp_path / name, f"sub/{name}")
    volume = volume_io.read(tmp_path / "a.zip")
    np.testing.assert_array_equal(volume.stored, VALUES)
    assert volume.grid.spacing == (1, 1, 4)


@pytest.mark.parametrize("data", ["beside", "elsewhere"])
@pytest.mark.parametrize("suffix", [".mhd", ".mha", ".nhdr", ".nrrd"])
def test_a_header_in_a_zip_names_no_files(tmp_path: Path, suffix: str, data: str) -> None:
    secret = tmp_path / "secret.raw"
    secret.write_bytes(VALUES.tobytes())
    named = "secret.raw" if data == "beside" else secret
    mha = "ObjectType = Image\nNDims = 3\nDimSize = 7 6 5\nElementSpacing = 1 1 4\nElementType = MET_SHORT\n"
    nrrd = "NRRD0004\ntype: int16\nendian: little\nencoding: raw\ndimension: 3\nsizes: 7 6 5\nspacings: 1 1 4\n"
    header = f"{mha}ElementDataFile = {named}\n" if suffix[:2] == ".m" else f"{nrrd}data file: {named}\n\n"
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr(f"a{suffix}", header)
        archive.write(secret, "secret.raw")
    with pytest.raises(InputError, match=r"a\.zip: an? .* header without its voxels"):
        volume_io.read(tmp_path / "a.zip")


@pytest.mark.parametrize("suffix", [".nrrd", ".mha"])
def test_what_gzip_packed_as_a_whole_is_refused_for_that(tmp_path: Path, suffix: str) -> None:
    sitk.WriteImage(sitk.GetImageFromArray(VALUES), str(tmp_path / f"a{suffix}"))
    packed = gzip.compress((tmp_path / f"a{suffix}").read_bytes())
    for name in (f"a{suffix}.gz", f"b{suffix}"):
        (tmp_path / name).write_bytes(packed)
        with pytest.raises(InputError, match=f"{name}: packed by gzip"):
            volume_io.read(tmp_path / name)


def test_an_nrrd_with_directions_for_two_axes_only_is_refused(tmp_path: Path) -> None:
    header = "NRRD0005\ntype: int16\nendian: little\nencoding: raw\ndimension: 3\nsizes: 7 6 5\nspace: LPS\n"
    text = f"{header}space directions: (1,0,0) (0,1,0) none\n\n"
    (tmp_path / "a.nrrd").write_bytes(text.encode() + VALUES.tobytes())
    with pytest.raises(InputError, match="for 2 axes only"):
        volume_io.read(tmp_path / "a.nrrd")
