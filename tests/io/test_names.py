"""Names that some libraries do not take: not UTF-8, line ends, spaces around."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from medsr.core.errors import UsageError
from medsr.io.volumes import volume as volume_io
from medsr.io.volumes import volume_files
from medsr.io.volumes.base import Volume
from tests.helpers.scans import smooth_volume

NAMES = (b"M\xfcller", b"a\rb", b"c\nd", b"-n", b" s ", b"[a]*", "\u202ex".encode())
KINDS = {".nii": "NIfTI", ".mgz": "MGH", ".nrrd": "NRRD", ".mha": "MetaImage"}


@pytest.mark.parametrize("suffix", KINDS)
@pytest.mark.parametrize("name", NAMES)
def test_scans_of_any_name_come_back(tmp_path: Path, name: bytes, suffix: str) -> None:
    path = tmp_path / os.fsdecode(name) / (os.fsdecode(name) + suffix)
    stored = smooth_volume((8, 7, 6))
    volume_io.write(path, Volume(stored, np.diag([1.0, 1.0, 3.0, 1.0]), KINDS[suffix]))
    again = volume_io.read(path)
    np.testing.assert_array_equal(again.stored, stored)
    assert {file.name for file in path.parent.iterdir()} == {file.name for file in volume_files.files_written(path)}


@pytest.mark.parametrize("suffix", [".mhd", ".nhdr"])
@pytest.mark.parametrize("name", NAMES)
def test_a_header_of_any_name_finds_its_data(tmp_path: Path, name: bytes, suffix: str) -> None:
    stored = smooth_volume((8, 7, 6))
    volume_io.write(tmp_path / f"plain{suffix}", Volume(stored, np.diag([1.0, 1.0, 3.0, 1.0]), "NRRD"))
    path = (tmp_path / f"plain{suffix}").rename(tmp_path / (os.fsdecode(name) + suffix))
    np.testing.assert_array_equal(volume_io.read(path).stored, stored)
    assert len(volume_files.files_of(path)) == 2


@pytest.mark.parametrize("suffix", [".mhd", ".nhdr"])
def test_a_header_that_cannot_name_its_data_is_refused(tmp_path: Path, suffix: str) -> None:
    volume = Volume(smooth_volume((8, 7, 6)), np.eye(4), "NRRD")
    for name in (b"M\xfcller", b"c\nd", b" s "):
        with pytest.raises(UsageError, match="cannot name its data file"):
            volume_io.write(tmp_path / (os.fsdecode(name) + suffix), volume)
    volume_io.write(tmp_path / f"Mueller Ärztin{suffix}", volume)
    assert len(volume_files.files_of(tmp_path / f"Mueller Ärztin{suffix}")) == 2
