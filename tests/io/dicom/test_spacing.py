"""How large a pixel of a radiograph is at the patient, as PS3.3 10.7.1.3 has it."""

from __future__ import annotations

import pytest
from pydicom.dataset import Dataset

from medsr.io.dicom.spacing import at_patient


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        ({}, None),
        ({"ImagerPixelSpacing": [0.2, 0.1]}, (0.2, 0.1)),
        ({"PixelSpacing": [0.15, 0.15]}, (0.15, 0.15)),
        ({"PixelSpacing": [0.15, 0.15], "ImagerPixelSpacing": [0.2, 0.2]}, (0.15, 0.15)),
        ({"ImagerPixelSpacing": [0.2, 0.2], "EstimatedRadiographicMagnificationFactor": 1.25}, (0.16, 0.16)),
        (
            {
                "PixelSpacing": [0.2, 0.2],
                "ImagerPixelSpacing": [0.2, 0.2],
                "EstimatedRadiographicMagnificationFactor": 1.25,
            },
            (0.16, 0.16),
        ),
        ({"ImagerPixelSpacing": [0.2, 0.2], "EstimatedRadiographicMagnificationFactor": 0}, (0.2, 0.2)),
        ({"NominalScannedPixelSpacing": [0.1, 0.1]}, (0.1, 0.1)),
        ({"PixelSpacing": [0, 0], "ImagerPixelSpacing": [0.2, 0.2]}, (0.2, 0.2)),
        ({"PixelSpacing": 0.2}, None),
        ({"PixelSpacing": None}, None),
    ],
)
def test_what_headers_say(tags: dict, expected: tuple[float, float] | None) -> None:
    dataset = Dataset()
    for keyword, value in tags.items():
        setattr(dataset, keyword, value)
    assert at_patient(dataset) == pytest.approx(expected)


def test_a_spacing_that_is_not_a_number_is_none() -> None:
    from pydicom.dataelem import RawDataElement
    from pydicom.tag import Tag

    dataset = Dataset()
    tag = Tag("PixelSpacing")
    dataset._dict[tag] = RawDataElement(tag, "DS", 6, b"a\\b   ", 0, False, True)
    assert at_patient(dataset) is None
