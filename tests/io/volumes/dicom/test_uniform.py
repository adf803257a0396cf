"""Slices that mean their values in another way than the others of their series."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from medsr.core.errors import InputError
from medsr.io.volumes import volume as volume_io
from tests.helpers.dicom import slice_of, write_slices


@pytest.mark.parametrize(
    ("tags", "said"),
    [
        ({"PhotometricInterpretation": "MONOCHROME1"}, "different PhotometricInterpretation"),
        ({"PixelRepresentation": 1}, "signed and unsigned"),
        ({"RescaleSlope": None, "RescaleIntercept": None}, "with and without a rescale"),
        ({"RescaleType": "US"}, "different RescaleType"),
    ],
)
def test_a_slice_that_means_its_values_differently_is_named(tmp_path: Path, tags: dict[str, object], said: str) -> None:
    usual = [slice_of(k, RescaleType="HU") for k in (0, 1, 3, 4)]
    folder = write_slices(tmp_path / "series", [*usual, slice_of(2, **({"RescaleType": "HU"} | tags))])
    with pytest.raises(InputError, match=rf"{said}.*: 1 of 5 differ \(06_4.dcm\); put them"):
        volume_io.read(folder)


def test_an_empty_rescale_is_none_and_a_slope_of_each_slice_is_right(tmp_path: Path) -> None:
    slices = [slice_of(k, RescaleSlope="", RescaleIntercept="") for k in range(4)]
    empty = volume_io.read(write_slices(tmp_path / "a", slices))
    assert (empty.slope, empty.intercept) == (1, 0)
    pet = volume_io.read(write_slices(tmp_path / "b", [slice_of(k, RescaleSlope=0.5 * (k + 1)) for k in range(4)]))
    expected = (np.arange(8) + 100 * np.arange(4)[:, None]) * 0.5 * np.arange(1, 5)[:, None] - 1024
    np.testing.assert_allclose(pet.stored[:, 0], expected.T)
    with pytest.raises(InputError, match="RescaleSlope is 0"):
        volume_io.read(write_slices(tmp_path / "c", [slice_of(k, RescaleSlope=0) for k in range(4)]))


def test_what_is_left_out_is_counted_and_named(tmp_path: Path) -> None:
    folder = write_slices(tmp_path / "a", [slice_of(k) for k in range(4)])
    for number in range(5):
        (folder / f"report{number}.txt").write_text("no image")
    (note,) = volume_io.read(folder).notes
    assert note.startswith("5 file(s)")
    assert note.endswith("report0.txt, report1.txt, report2.txt and 2 more")
    scout = [slice_of(k, ImageOrientationPatient=[0, 1, 0, 0, 0, -1]) for k in (5, 6, 7)]
    both = write_slices(tmp_path / "b", [*(slice_of(k) for k in range(4)), *scout])
    (note,) = volume_io.read(both, ":1").notes
    assert note == "3 slice(s) of other acquisitions in the series left out, as asked"
