"""What a file is, its bytes say."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from medsr.core.errors import InputError
from medsr.io.file_type import Content, content_of
from medsr.io.volumes import volume as volume_io
from medsr.io.volumes.base import Volume


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz", ".mgh", ".mgz", ".nrrd", ".mha"])
def test_volumes_are_known_without_their_name(tmp_path: Path, suffix: str) -> None:
    stored = np.arange(60, dtype=np.int16).reshape(3, 4, 5)
    volume_io.write(tmp_path / f"scan{suffix}", Volume(stored, np.diag([1.0, 2.0, 3.0, 1.0])))
    nameless = (tmp_path / f"scan{suffix}").rename(tmp_path / "upload")
    assert content_of(nameless) == Content("volume", suffix)


def test_real_files_are_what_their_readers_say(real_data: Path) -> None:
    for folder, kind in (("retina", "image"), ("chest", "image"), ("mri", "volume"), ("mri_thick", None)):
        for path in sorted((real_data / folder).rglob("*"))[::7]:
            if path.is_file() and path.name.endswith((".png", ".jpg", ".tif", ".ppm", ".dcm", ".nii.gz")):
                content = content_of(path)
                assert kind in (None, content.kind), path
                assert path.name.lower().endswith(content.suffix) or content.suffix in (".jpg", ".tif", ".ppm"), path


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    head=st.sampled_from([b"", b"NRRD0004\n", b"NDims = 3\n", b"\x1f\x8b\x08", b"PK\x03\x04", bytes(128) + b"DICM"]),
    rest=st.binary(max_size=400),
)
def test_any_bytes_are_something_or_refused(tmp_path: Path, head: bytes, rest: bytes) -> None:
    path = tmp_path / "upload"
    path.write_bytes(head + rest)
    try:
        content = content_of(path)
    except InputError:
        return
    assert content.kind in ("image", "volume")
