"""Which values are black and white at first: what the file's header says, in the values' own units."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pydicom.dataset import Dataset

from medsr.io.dicom.window import window_of
from medsr.io.display import of_image, of_volume
from medsr.io.images import image as image_io
from medsr.io.volumes.base import Volume
from tests.helpers.dicom import slice_of


def header(centre: object, width: object, function: str = "") -> Dataset:
    dataset = Dataset()
    dataset.WindowCenter, dataset.WindowWidth = centre, width
    if function:
        dataset.VOILUTFunction = function
    return dataset


def test_the_window_is_dicoms_formula() -> None:
    """As in PS3.3 C.11.2.1.2: centre 2048 and width 4096 show 0 as black and 4095 as white."""
    assert window_of(header(2048, 4096)) == pytest.approx((0, 4095))
    assert window_of(header([40, -600], [401, 1500])) == pytest.approx((-160.5, 239.5))
    assert window_of(header(40, 400, "LINEAR_EXACT")) == (-160, 240)


def test_a_header_without_a_linear_window_has_none() -> None:
    assert window_of(Dataset()) is None
    assert window_of(header(40, 0)) is None
    assert window_of(header(40, "inf")) is None
    assert window_of(header(40, 400, "SIGMOID")) is None


def test_ct_is_shown_in_hounsfield_units_and_mri_by_its_values() -> None:
    air = np.full((8, 8, 4), -1000, np.int16)
    air[2:6] = 40
    assert of_volume(Volume(air, np.eye(4))).unit == "HU"
    assert of_volume(Volume(air, np.eye(4))).low == -160
    grey = np.arange(256, dtype=np.int16).reshape(8, 8, 4)
    shown = of_volume(Volume(grey, np.eye(4), slope=2.0, modality="MR"))
    assert shown.unit == ""
    assert shown.range == pytest.approx(2 * (np.percentile(grey, 99.5) - np.percentile(grey, 0.5)))


@pytest.mark.parametrize(
    ("changes", "unit", "window"),
    [
        ({}, "HU", (-160 + 1024, 240 + 1024)),
        ({"Modality": None}, "HU", (-160 + 1024, 240 + 1024)),
        ({"WindowCenter": -600.5, "WindowWidth": 1501}, "HU", (-1351 + 1024, 149 + 1024)),
        ({"Modality": "MR"}, "", (0.235, 46.765)),
        ({"RescaleType": "ED"}, "", (0.235, 46.765)),
        ({"RescaleIntercept": None}, "", (0.235, 46.765)),
        ({"RescaleSlope": "-1"}, "", (0.235, 46.765)),
    ],
    ids=["ct", "by its values", "its own window", "mr", "electron density", "no rescaling", "black to white"],
)
def test_a_slice_of_ct_is_shown_in_hounsfield_units(
    tmp_path: Path, changes: dict[str, object], unit: str, window: tuple[float, float]
) -> None:
    dataset = slice_of(0)
    for keyword, value in changes.items():
        if value is None:
            del dataset[keyword]
        else:
            setattr(dataset, keyword, value)
    dataset.save_as(tmp_path / "slice.dcm", enforce_file_format=True)
    shown = of_image(image_io.read(tmp_path / "slice.dcm"))
    assert (shown.unit, shown.slope, shown.intercept) == (unit, 1, -1024 if unit else 0)
    assert (shown.low, shown.high) == pytest.approx(window)
