"""Series whose volumes only their numbers or times tell apart, and series of several grids."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset

from medsr.core.errors import UsageError
from medsr.io.volumes import volume as volume_io
from medsr.io.volumes.dicom.write import write_series
from tests.helpers.dicom import axial_slice, write_slices

SLICES = 6
TRIGGERS = [(5, 45, 85), (9, 89, 169), (45, 85, 125), (85, 125, 165), (3, 63, 123), (40, 80, 120)]
"""Three cardiac phases at six places, in ms: the heart beat at another rate for each."""


def code(n: int, k: int) -> int:
    """The value of slice `k` of volume `n`."""
    return 100 * n + k


def tags_of(way: str, n: int, k: int) -> dict[str, Any]:
    """What tells slice `k` of volume `n`, in one of the ways of scanners."""
    return {
        "no tag": {},
        "date": {"AcquisitionDate": f"2020010{n + 1}"},
        "numbers begin again": {"InstanceNumber": k + 1, "ContentTime": f"10{n}0{k:02d}"},
        "a time for every slice": {"AcquisitionTime": f"10{n}0{k:02d}"},
        "a number for every slice": {"AcquisitionNumber": SLICES * n + k + 1},
        "thickness": {"SliceThickness": 3 + n},
        "series time": {"SeriesTime": f"10{n}000"},
        "odd slices first": {"AcquisitionTime": f"10{n}0{k // 2 + 3 * (k % 2):02d}", "InstanceNumber": 1},
        "trigger": {"TriggerTime": TRIGGERS[k][n], "InstanceNumber": 3 * k + n + 1},
        "positron frames": {"FrameReferenceTime": 1000 * n + 500, "InstanceNumber": 1},
        "cardiac phase": {"NominalPercentageOfCardiacPhase": 10.0 * n, "InstanceNumber": k + 1},
    }[way]


def series_of(folder: Path, way: str, volumes: int, apart: float, last: int = SLICES) -> Path:
    """Volumes of six slices every 3 mm, each `apart` mm above the one before; the last volume has `last` slices."""
    slices = []
    for n in range(volumes):
        for k in range(SLICES if n < volumes - 1 else last):
            dataset = axial_slice(3 * k + apart * n, code(n, k), SLICES * n + k + 1)
            for key, value in tags_of(way, n, k).items():
                setattr(dataset, key, value)
            slices.append(dataset)
    return write_slices(folder, slices[::-1])


@pytest.mark.parametrize(
    "way",
    [
        *("no tag", "date", "numbers begin again", "a time for every slice", "a number for every slice", "thickness"),
        "series time",
    ],
)
def test_volumes_half_a_step_apart_are_never_one(tmp_path: Path, way: str) -> None:
    folder = series_of(tmp_path / "series", way, 2, 1.5)
    with pytest.raises(UsageError, match="2 acquisitions that do not make one volume"):
        volume_io.read(folder)
    for n in (0, 1):
        volume = volume_io.read(folder, f":{n + 1}")
        assert volume.stored[0, 0].tolist() == [code(n, k) for k in range(SLICES)]


@pytest.mark.parametrize(
    "way",
    [
        *("no tag", "a time for every slice", "a number for every slice", "odd slices first", "trigger"),
        *("positron frames", "cardiac phase"),
    ],
)
def test_volumes_on_one_grid_are_4d_whatever_tells_them_apart(tmp_path: Path, way: str) -> None:
    volume = volume_io.read(series_of(tmp_path / "series", way, 3, 0.0))
    assert volume.stored[0, 0].T.tolist() == [[code(n, k) for k in range(SLICES)] for n in range(3)]


def test_a_last_volume_that_is_not_whole_is_named_by_itself(tmp_path: Path) -> None:
    folder = series_of(tmp_path / "series", "no tag", 3, 0.0, last=4)
    with pytest.raises(UsageError, match=r":1 \(2 volumes of 6 slices, 8x6\); :2 \(4 slices"):
        volume_io.read(folder)
    assert volume_io.read(folder, ":1").stored.shape == (8, 6, 6, 2)
    assert volume_io.read(folder, ":2").stored[0, 0].tolist() == [code(2, k) for k in range(4)]


def test_overlapping_slices_and_slices_acquired_by_turns_are_one_volume(tmp_path: Path) -> None:
    overlapping = [axial_slice(1.5 * k, k, k + 1) for k in range(12)]
    by_turns = [axial_slice(3 * k, k, (1, 4, 2, 5, 3, 6)[k]) for k in range(6)]
    assert volume_io.read(write_slices(tmp_path / "overlapping", overlapping)).stored[0, 0].tolist() == list(range(12))
    assert volume_io.read(write_slices(tmp_path / "by turns", by_turns)).stored[0, 0].tolist() == list(range(6))


def test_magnitude_and_phase_are_read_one_by_one(tmp_path: Path) -> None:
    slices = [
        axial_slice(3 * k, code(n, k), SLICES * n + k + 1, Modality="MR", ImageType=["ORIGINAL", "PRIMARY", "MP"[n]])
        for n in (0, 1)
        for k in range(SLICES)
    ]
    folder = write_slices(tmp_path / "series", slices)
    with pytest.raises(UsageError, match=r"ImageType ORIGINAL/PRIMARY/M\); :2 .*ImageType ORIGINAL/PRIMARY/P\)"):
        volume_io.read(folder)
    assert [volume_io.read(folder, name).wrapped for name in (":1", ":2")] == [False, True]


def test_stacks_of_several_orientations_are_named(tmp_path: Path) -> None:
    turned: list[Dataset] = []
    for n, cosines in enumerate(([1, 0, 0, 0, 1, 0], [0, 1, 0, 0, 0, -1], [1, 0, 0, 0, 0, -1])):
        line = np.cross(cosines[:3], cosines[3:])
        for k in range(4):
            dataset = axial_slice(0, code(n, k), 4 * n + k + 1, SliceThickness=3)
            dataset.ImageOrientationPatient, dataset.ImagePositionPatient = cosines, list(3.0 * k * line)
            turned.append(dataset)
    folder = write_slices(tmp_path / "series", turned)
    with pytest.raises(UsageError, match="3 acquisitions"):
        volume_io.read(folder)
    for n in range(3):
        assert volume_io.read(folder, f":{n + 1}").stored[0, 0].tolist() == [code(n, k) for k in range(4)]


def test_files_that_are_there_twice_make_no_second_volume(tmp_path: Path) -> None:
    slices = [axial_slice(3 * k, code(n, k), 4 * n + k + 1, EchoTime=10 + n) for n in (0, 1) for k in range(4)]
    folder = write_slices(tmp_path / "series", [*slices, *slices[:5]])
    volume = volume_io.read(folder)
    assert volume.stored[0, 0].T.tolist() == [[code(n, k) for k in range(4)] for n in (0, 1)]
    assert any("5 slice(s) are there twice" in note for note in volume.notes)


def vendor(dataset: Dataset, name: str, value: int) -> None:
    """A b-value as scanners of a vendor write it, 1000 in the direction of y."""
    dataset.Modality = "MR"
    if name == "Siemens":
        block = dataset.private_block(0x0019, "SIEMENS MR HEADER", create=True)
        block.add_new(0x0C, "IS", str(value))
        if value:
            block.add_new(0x0E, "FD", [0.0, 1.0, 0.0])
    elif name == "Philips":
        dataset.private_block(0x2001, "Philips Imaging DD 001", create=True).add_new(0x03, "FL", float(value))
        block = dataset.private_block(0x2005, "Philips MR Imaging DD 001", create=True)
        for element, part in zip((0xB0, 0xB1, 0xB2), (0.0, 1.0 if value else 0.0, 0.0), strict=True):
            block.add_new(element, "FL", part)
    else:
        flagged = 1_000_000_000 + value if value else 0
        dataset.private_block(0x0043, "GEMS_PARM_01", create=True).add_new(0x39, "IS", [flagged, 8, 0, 0])


@pytest.mark.parametrize("name", ["Siemens", "Philips", "GE"])
def test_private_b_values_tell_volumes_apart_and_go_into_results(tmp_path: Path, name: str) -> None:
    slices = [axial_slice(3 * k, code(n, k), k + 1) for n in (0, 1) for k in range(4)]
    for region, dataset in enumerate(slices):
        vendor(dataset, name, 1000 * (region // 4))
    volume = volume_io.read(write_slices(tmp_path / "series", slices[::-1]))
    assert volume.stored[0, 0].T.tolist() == [[code(n, k) for k in range(4)] for n in (0, 1)]
    write_series(tmp_path / "new", volume, "Super-resolved")
    headers = [pydicom.dcmread(file) for file in sorted((tmp_path / "new").iterdir())]
    assert [float(header.get("DiffusionBValue", 0)) for header in headers] == [0] * 4 + [1000] * 4
    if name != "GE":
        assert [float(part) for part in headers[-1].DiffusionGradientOrientation] == [0, 1, 0]
    assert not any(element.tag.is_private for header in headers for element in header)


@pytest.mark.parametrize(
    ("tags", "seconds"),
    [
        ({"AcquisitionTime": ["095958.5", "100001.0", "100003.5"]}, 2.5),
        ({"AcquisitionTime": ["100000", "100001.9975", "100004"], "RepetitionTime": [2000] * 3}, 2.0),
        ({"TriggerTime": [0, 40, 80], "RepetitionTime": [3] * 3}, 0.04),
        ({"EchoTime": [10, 20, 30], "RepetitionTime": [3000] * 3}, 3.0),
        ({"EchoTime": [10, 20, 30]}, 1.0),
        ({"AcquisitionDateTime": [f"2020010110000{n}.5-0500" for n in (1, 4, 7)]}, 3.0),
    ],
)
def test_seconds_between_volumes_are_those_of_their_clocks(
    tmp_path: Path, tags: dict[str, list[Any]], seconds: float
) -> None:
    slices = []
    for n in range(3):
        lines = {key: values[n] for key, values in tags.items()}
        slices += [axial_slice(3 * k, code(n, k), SLICES * n + k + 1, **lines) for k in range(SLICES)]
    assert volume_io.read(write_slices(tmp_path / "series", slices)).time_step == pytest.approx(seconds)


def test_volumes_named_one_after_the_other_do_not_replace_each_other(tmp_path: Path) -> None:
    import medsr

    folder = series_of(tmp_path / "series", "no tag", 3, 0.0, last=4)
    for name in (":1", ":2"):
        (outcome,) = medsr.volume(folder, tmp_path / "out", model="cubic", series=name)
        assert outcome.error is None
    first, second = (volume_io.read(tmp_path / f"out/series_volume{n}.nii.gz") for n in (1, 2))
    assert (first.volumes, second.volumes) == (2, 1)
