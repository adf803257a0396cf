"""Which files of a tree are one DICOM series, whatever folders its program has spread it over."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from medsr.io.dicom import files as dicom_files
from medsr.io.dicom.values import numbers_of

TAGS = ["SeriesInstanceUID", "SOPInstanceUID", "PatientID", "InstanceNumber", "ImagePositionPatient"]
NUMBER = "SeriesNumber"


@dataclass(frozen=True)
class Slice:
    """What of a file says where it belongs."""

    file: Path
    series: str
    instance: str
    patient: str
    number: str
    position: str
    series_number: float


@dataclass
class Series:
    """The files of one series; `folder` holds all of them. `named`: the UID, where others lie there."""

    uid: str
    slices: list[Slice] = field(default_factory=list)
    named: str | None = None

    @property
    def folder(self) -> Path:
        return Path(os.path.commonpath([item.file.parent for item in self.slices]))

    @property
    def number(self) -> float:
        return min(item.series_number for item in self.slices)

    @property
    def files(self) -> list[Path]:
        return [item.file for item in self.slices]


def slice_of(file: Path) -> Slice | None:
    """None for what is not a DICOM image. Raises InputError for a damaged file."""
    for name, opener, head in dicom_files.sources(file):
        dataset = dicom_files.header(name, opener, head, [*TAGS, NUMBER, "SOPClassUID", "Rows", "Columns"])
        if dataset is None or not dicom_files.is_image(dataset):
            return None
        series, instance, patient, number, position = (str(dataset.get(tag) or "") for tag in TAGS)
        return Slice(file, series, instance, patient, number, position, number_of_series(dataset))
    return None


def number_of_series(dataset: Any) -> float:
    """By which series are listed, then by their UIDs; infinite where the header has none."""
    try:
        return (numbers_of(dataset, NUMBER) or [float("inf")])[0]
    except ValueError:
        return float("inf")


def scattered(slices: list[Slice]) -> list[Series]:
    """The series among files; folders of one series are put together unless they are copies, or another patient's.

    Sorted by SeriesNumber, then UID, as the series of a folder are listed.
    """
    folders: dict[tuple[str, Path], list[Slice]] = {}
    for item in slices:
        folders.setdefault((item.series, item.file.parent), []).append(item)
    all_series: list[Series] = []
    for (uid, _), inside in sorted(folders.items()):
        whole = next(
            (series for series in all_series if uid and series.uid == uid and _continues(series.slices, inside)), None
        )
        if whole is None:
            all_series.append(whole := Series(uid))
        whole.slices += inside
    for series in all_series:
        beside = {other.series for other in slices if other.file.is_relative_to(series.folder)}
        series.named = series.uid if len(beside) > 1 and series.uid else None
    return sorted(all_series, key=lambda series: (series.number, series.uid))


def complete(slices: list[Slice]) -> list[Series]:
    """The series of which all files in their folder are among these, several each."""
    named = {item.file for item in slices}
    beside = [item for folder in {file.parent for file in named} for item in _in_folder(folder)]
    return [series for series in scattered(beside) if len(series.files) > 1 and named >= set(series.files)]


def _in_folder(folder: Path) -> list[Slice]:
    slices = []
    for file in sorted(folder.iterdir()):
        if file.is_file() and not file.name.startswith(".") and file.name.upper() != "DICOMDIR":
            item = slice_of(file)
            slices += [item] if item else []
    return slices


def _continues(before: list[Slice], new: list[Slice]) -> bool:
    """Whether the files of another folder go on with a series: none is a copy, and they are the same patient's.

    Nothing has a number twice, or a position twice where a folder gives one number to several files.
    """
    if {item.patient for item in before} != {item.patient for item in new}:
        return False
    if {item.instance for item in before} & {item.instance for item in new} - {""}:
        return False
    keys = [[item.number for item in part] for part in (before, new)]
    if any(len(set(part)) < len(part) for part in keys):
        keys = [[item.position for item in part] for part in (before, new)]
    return not set(keys[0]) & set(keys[1]) - {""}
