"""The pictures of a cohort's page."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from medsr.commands.cohort.page import _thumbnail
from medsr.io.images import image as image_io
from tests.helpers.dicom import slice_of


def test_a_slice_is_pictured_through_the_window_that_its_header_asks_for(tmp_path: Path) -> None:
    dataset = slice_of(0, WindowCenter=-1000, WindowWidth=21)
    dataset.save_as(tmp_path / "a.dcm", enforce_file_format=True)
    stored = image_io.read(tmp_path / "a.dcm").pixels[:, :, 0]
    values = stored * float(dataset.RescaleSlope) + float(dataset.RescaleIntercept)
    thumbnail = _thumbnail(tmp_path / "a.dcm")
    assert thumbnail is not None
    expected = np.clip((values + 1010.5) / 20, 0, 1)
    assert np.mean((expected > 0) & (expected < 1)) > 0
    np.testing.assert_allclose(thumbnail[:, :, 0], expected, atol=1 / 255)
