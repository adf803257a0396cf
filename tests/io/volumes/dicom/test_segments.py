"""Segmentations: one object of several segments, and slices that are left out because they are empty."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pydicom.dataset import Dataset

from medsr.core.errors import InputError
from medsr.io.volumes import volume as volume_io
from medsr.volumes.labels import is_labels
from tests.helpers.dicom import slice_of


def segmentation(path: Path, segments: int, places: tuple[int, ...], kind: str = "BINARY") -> Path:
    """One file with a frame of 8 x 6 at each place; its values are 0 and the numbers of segments."""
    dataset = slice_of(0, Modality="SEG", SegmentationType=kind, NumberOfFrames=len(places))
    shared, groups = Dataset(), []
    orientation, measures = Dataset(), Dataset()
    orientation.ImageOrientationPatient, measures.PixelSpacing = [1, 0, 0, 0, 1, 0], [1, 1]
    shared.PlaneOrientationSequence, shared.PixelMeasuresSequence = [orientation], [measures]
    for region in places:
        group, position = Dataset(), Dataset()
        position.ImagePositionPatient = [0, 0, 3 * region]
        group.PlanePositionSequence = [position]
        groups.append(group)
    dataset.SharedFunctionalGroupsSequence, dataset.PerFrameFunctionalGroupsSequence = [shared], groups
    dataset.SegmentSequence = [Dataset() for _ in range(segments)]
    for keyword in ("RescaleSlope", "RescaleIntercept", "ImagePositionPatient", "ImageOrientationPatient"):
        delattr(dataset, keyword)
    values = np.zeros((len(places), 6, 8), np.uint16)
    values[:, 2:5, 2:6] = np.arange(4) % segments + 1
    dataset.PixelData = values.tobytes()
    dataset.save_as(path, enforce_file_format=True)
    return path


def test_several_binary_segments_are_never_made_one_label(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="2 segments, which medsr does not tell apart; export"):
        volume_io.read(segmentation(tmp_path / "seg.dcm", 2, (0, 1, 2, 3)))


def test_a_label_map_of_several_segments_keeps_its_numbers(tmp_path: Path) -> None:
    volume = volume_io.read(segmentation(tmp_path / "seg.dcm", 4, (0, 1, 2, 3), "LABELMAP"))
    np.testing.assert_array_equal(np.unique(volume.stored), np.arange(5))
    assert is_labels(volume)


def test_empty_slices_that_are_left_out_are_told_for_what_they_are(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"2 slice\(s\) missing .* leaves its empty slices out; export it as NIfTI"):
        volume_io.read(segmentation(tmp_path / "seg.dcm", 1, (0, 1, 4, 5)))
