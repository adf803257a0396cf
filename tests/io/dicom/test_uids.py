"""UIDs that follow from content."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.uid import UID

import medsr
from medsr.io.dicom.uids import uid_of
from tests.helpers.dicom import write_xray


def test_the_same_content_has_the_same_valid_uid() -> None:
    values = np.arange(6, dtype=">u2").reshape(2, 3)[:, ::2]
    assert uid_of("a", values) == uid_of("a", values.copy())
    assert UID(uid_of("a", values)).is_valid
    assert len({uid_of("ab"), uid_of("a", "b"), uid_of("b", "a"), uid_of("", "ab"), uid_of("ab", "")}) == 5


@pytest.mark.parametrize("tag", ["PatientName", "StudyInstanceUID", "PixelData"])
def test_an_image_made_again_is_the_same_and_of_another_is_another(tmp_path: Path, tag: str) -> None:
    pixels = np.random.default_rng(0).integers(0, 4000, (20, 16), np.uint16)
    fixed = {"SOPInstanceUID": "1.2.3", "StudyInstanceUID": "1.2.4", "SeriesInstanceUID": "1.2.5"}
    source = write_xray(tmp_path / "a.dcm", pixels, **fixed)
    first, again = (medsr.upscale(source, tmp_path / name, model="bicubic")[0].output for name in "12")
    assert first.read_bytes() == again.read_bytes()
    changed = dcmread(source)
    changed[tag].value = {"PatientName": "Roe^Richard", "StudyInstanceUID": "1.2.9"}.get(tag, pixels[::-1].tobytes())
    changed.save_as(tmp_path / "b.dcm")
    [other] = medsr.upscale(tmp_path / "b.dcm", tmp_path / "3", model="bicubic")
    assert dcmread(other.output).SOPInstanceUID != dcmread(first).SOPInstanceUID
