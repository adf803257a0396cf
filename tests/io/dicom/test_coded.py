"""What a header says in codes is told; what somebody typed is not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pydicom

from medsr.io.dicom.coded import coded_words, pixel_words
from tests.helpers.dicom import slice_of, write_xray
from tests.helpers.patients import EVERY, SECRET, with_secret


def test_a_radiograph_is_described_by_its_codes(tmp_path: Path) -> None:
    tags = {"BodyPartExamined": "Chest ", "ViewPosition": "PA", "ImageLaterality": "L"}
    path = write_xray(tmp_path / "a.dcm", np.zeros((4, 6), np.uint16), **tags)
    dataset = pydicom.dcmread(path)
    assert coded_words(dataset) == "DX, CHEST, PA view, left side"
    assert pixel_words(dataset) == "pixels of 0.2 x 0.16 mm"


def test_a_slice_is_described_by_its_plane_and_how_somebody_lay() -> None:
    assert coded_words(slice_of(0, PatientPosition="HFS")) == "CT, axial, oblique, head first, supine"
    assert coded_words(slice_of(0, ImageOrientationPatient=[0, 1, 0, 0, 0, -1])) == "CT, sagittal"
    assert coded_words(slice_of(0, ImageOrientationPatient=[0, 1, 0, 0, 1, 0])) == "CT"


def test_no_other_text_of_a_header_is_told(tmp_path: Path) -> None:
    for keyword in EVERY:
        path = write_xray(tmp_path / "a.dcm", np.zeros((4, 6), np.uint16))
        with_secret(path, keyword, "its own")
        dataset = pydicom.dcmread(path)
        assert SECRET not in coded_words(dataset) + pixel_words(dataset)
