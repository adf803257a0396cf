"""Several acquisitions in one DICOM series: told apart, read as 4D or listed, never interleaved."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset

from medsr.core.errors import InputError, UsageError
from medsr.io.volumes import volume as volume_io
from medsr.io.volumes.dicom.write import write_series
from tests.helpers.dicom import axial_slice, slice_of, write_slices


@pytest.mark.parametrize("apart", [1.5, 1.0, 2.0])
@pytest.mark.parametrize(
    "tag", ["AcquisitionNumber", "ContrastBolusAgent", "AcquisitionTime", "TemporalPositionIdentifier"]
)
def test_acquisitions_between_each_other_are_listed_and_one_is_named(tmp_path: Path, apart: float, tag: str) -> None:
    lines = {"ContrastBolusAgent": ("", "agent"), "AcquisitionTime": ("100000", "100500")}.get(tag, (1, 2))
    slices = [
        axial_slice(3 * k + apart * n, 100 * (n + 1), 6 * n + k + 1, **{tag: lines[n]})
        for n in (0, 1)
        for k in range(6)
    ]
    folder = write_slices(tmp_path / "series", slices)
    with pytest.raises(UsageError, match=r"2 acquisitions .*`series=:N` or UID:N"):
        volume_io.read(folder)
    for n in (0, 1):
        volume = volume_io.read(folder, f":{n + 1}")
        assert volume.stored.shape == (8, 6, 6)
        assert np.unique(volume.stored).tolist() == [100 * (n + 1)]
        np.testing.assert_allclose(volume.affine[2], [0, 0, 3, apart * n], atol=1e-6)
    with pytest.raises(UsageError, match="name one"):
        volume_io.read(folder, ":3")
    with pytest.raises(UsageError, match="a number above 0"):
        volume_io.read(folder, ":x")


@pytest.mark.parametrize("tag", ["EchoTime", "DiffusionBValue", "AcquisitionNumber", "TemporalPositionIdentifier", ""])
@pytest.mark.parametrize("by_slice", [False, True])
def test_several_volumes_on_one_grid_are_4d_in_order(tmp_path: Path, tag: str, by_slice: bool) -> None:
    slices = []
    for n in range(3):
        for k in range(4):
            number = 3 * k + n + 1 if by_slice else 4 * n + k + 1
            slices.append(axial_slice(3 * k, 100 * n + k, number, **({tag: 10 * n + 5} if tag else {})))
    volume = volume_io.read(write_slices(tmp_path / "series", slices[::-1]))
    assert volume.stored.shape == (8, 6, 4, 3)
    np.testing.assert_array_equal(volume.stored[0, 0], np.arange(4)[:, None] + 100 * np.arange(3))
    np.testing.assert_allclose(volume.affine[2], [0, 0, 3, 0], atol=1e-6)
    assert any("read as 4D" in note for note in volume.notes)
    write_series(tmp_path / "new", volume.refined(np.repeat(volume.stored, 2, axis=2)), "Super-resolved")
    again = volume_io.read(tmp_path / "new")
    np.testing.assert_array_equal(again.stored, np.repeat(volume.stored, 2, axis=2))
    np.testing.assert_allclose(again.affine, volume.refined(again.stored).affine, atol=1e-4)
    headers = [pydicom.dcmread(file) for file in sorted((tmp_path / "new").iterdir())]
    assert [int(header.InstanceNumber) for header in headers] == list(range(1, 25))
    assert len({header.SOPInstanceUID for header in headers}) == 24
    if tag:
        assert [float(header.get(tag)) for header in headers] == [5.0] * 8 + [15.0] * 8 + [25.0] * 8


@pytest.mark.parametrize("numbers", [[1, 1, 1, 2, 2, 2], [1, 2, 3, 4, 5, 6], [1, 2, 1, 2, 1, 2]])
def test_chunks_numbered_slices_and_interleaved_slices_of_one_scan_stay_one(tmp_path: Path, numbers: list[int]) -> None:
    slices = [axial_slice(3 * k, k, k + 1, AcquisitionNumber=number, Modality="MR") for k, number in enumerate(numbers)]
    volume = volume_io.read(write_slices(tmp_path / "series", slices))
    np.testing.assert_array_equal(volume.stored[0, 0], np.arange(6))


def test_slices_of_ct_are_not_acquired_by_turns(tmp_path: Path) -> None:
    slices = [axial_slice(3 * k, k, k + 1, AcquisitionNumber=1 + k % 2) for k in range(6)]
    with pytest.raises(UsageError, match=r"AcquisitionNumber 1.*AcquisitionNumber 2"):
        volume_io.read(write_slices(tmp_path / "series", slices))


def test_frames_of_one_file_are_told_apart_by_their_echo(tmp_path: Path) -> None:
    dataset = slice_of(0, NumberOfFrames=6, ImageOrientationPatient=[1, 0, 0, 0, 1, 0])
    del dataset.ImagePositionPatient
    groups = []
    for k in range(3):
        for echo in (10.0, 20.0):
            group, position, times = Dataset(), Dataset(), Dataset()
            position.ImagePositionPatient, times.EffectiveEchoTime = [0, 0, 3 * k], echo
            group.PlanePositionSequence, group.MREchoSequence = [position], [times]
            groups.append(group)
    dataset.PerFrameFunctionalGroupsSequence = groups
    dataset.PixelData = np.repeat(np.arange(6, dtype=np.uint16), 48).tobytes()
    volume = volume_io.read(write_slices(tmp_path / "file", [dataset]))
    np.testing.assert_array_equal(volume.stored[0, 0], [[0, 1], [2, 3], [4, 5]])


@pytest.mark.parametrize("kept", [(0, 1, 2, 4, 6, 7, 8), (0, 1, 2, 4, 6), (0, 2, 4, 6)])
def test_single_slices_missing_between_others_are_noticed(tmp_path: Path, kept: tuple[int, ...]) -> None:
    slices = [axial_slice(3 * k, k, k + 1, SpacingBetweenSlices=3.0) for k in kept]
    with pytest.raises(InputError, match="complete the series"):
        volume_io.read(write_slices(tmp_path / "series", slices))


@pytest.mark.parametrize(
    ("tags", "reason"),
    [
        ({"ImageType": ["ORIGINAL", "PRIMARY", "M", "ND", "MOSAIC"]}, "Siemens mosaic"),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.481.2"}, "a dose grid of"),
        ({"SegmentSequence": [Dataset(), Dataset()]}, "2 segments"),
        ({"NumberOfFrames": 3}, "no position for each"),
        ({"RescaleSlope": 0}, "RescaleSlope is 0"),
    ],
)
def test_what_is_not_a_stack_of_slices_is_refused_for_its_reason(
    tmp_path: Path, tags: dict[str, object], reason: str
) -> None:
    slices = [axial_slice(3 * k, k, k + 1, **tags) for k in range(3)]
    with pytest.raises(InputError, match=reason):
        volume_io.read(write_slices(tmp_path / "series", slices))


def test_frames_of_one_file_are_ordered_by_their_dimensions(tmp_path: Path) -> None:
    order = [(n, k) for n in (2, 0, 1) for k in (1, 0, 3, 2)]
    dataset = slice_of(0, NumberOfFrames=12, ImageOrientationPatient=[1, 0, 0, 0, 1, 0])
    del dataset.ImagePositionPatient
    pointers, groups = [Dataset(), Dataset()], []
    pointers[0].DimensionIndexPointer, pointers[1].DimensionIndexPointer = 0x00209057, 0x00209241
    for n, k in order:
        group, position, content = Dataset(), Dataset(), Dataset()
        position.ImagePositionPatient, content.DimensionIndexValues = [0, 0, 3 * k], [k + 1, n + 1]
        group.PlanePositionSequence, group.FrameContentSequence = [position], [content]
        groups.append(group)
    dataset.DimensionIndexSequence, dataset.PerFrameFunctionalGroupsSequence = pointers, groups
    dataset.PixelData = np.repeat(np.array([10 * n + k for n, k in order], np.uint16), 48).tobytes()
    volume = volume_io.read(write_slices(tmp_path / "file", [dataset]))
    assert volume.stored[0, 0].T.tolist() == [[10 * n + k for k in range(4)] for n in range(3)]
