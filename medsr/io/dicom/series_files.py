"""Which files of a tree are one DICOM series, whatever folders its program has spread it over."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

from medsr.io.dicom import files as dicom_files

TAGS = ["SeriesInstanceUID", "SOPInstanceUID", "PatientID", "InstanceNumber", "ImagePositionPatient"]


@dataclass(frozen=True)
class Slice:
    """What of a file says where it belongs."""

    file: Path
    series: str
    instance: str
    patient: str
    number: str
    position: str


@dataclass
class Series:
    """The files of one series; `place`: the folder that holds all of them. `named`: the UID, where others lie there."""

    uid: str
    slices: list[Slice] = field(default_factory=list)
    named: str | None = None

    @property
    def place(self) -> Path:
        return Path(os.path.commonpath([one.file.parent for one in self.slices]))

    @property
    def files(self) -> list[Path]:
        return [one.file for one in self.slices]


def slice_of(file: Path) -> Slice | None:
    """None for what is not a DICOM image. Raises InputError for a damaged file."""
    for name, opener, head in dicom_files.sources(file):
        dataset = dicom_files.header(name, opener, head, [*TAGS, "SOPClassUID", "Rows", "Columns"])
        if dataset is None or not dicom_files.is_image(dataset):
            return None
        texts = [str(dataset.get(tag) or "") for tag in TAGS[:5]]
        return Slice(file, *texts)
    return None


def scattered(slices: list[Slice]) -> list[Series]:
    """The series among files; folders of one series are put together unless they are copies, or another patient's.

    Sorted by UID, as the series of a folder are listed.
    """
    folders: dict[tuple[str, Path], list[Slice]] = {}
    for one in slices:
        folders.setdefault((one.series, one.file.parent), []).append(one)
    found: list[Series] = []
    for (uid, _), inside in sorted(folders.items()):
        whole = next((one for one in found if uid and one.uid == uid and _continues(one.slices, inside)), None)
        if whole is None:
            found.append(whole := Series(uid))
        whole.slices += inside
    for series in found:
        beside = {other.series for other in slices if other.file.is_relative_to(series.place)}
        series.named = series.uid if len(beside) > 1 and series.uid else None
    return found


def complete(slices: list[Slice]) -> list[Series]:
    """The series of which all files in their folder are among these, several each."""
    named = {one.file for one in slices}
    beside = [one for folder in {file.parent for file in named} for one in _in_folder(folder)]
    return [one for one in scattered(beside) if len(one.files) > 1 and named >= set(one.files)]


def _in_folder(folder: Path) -> list[Slice]:
    found = []
    for file in sorted(folder.iterdir()):
        if file.is_file() and not file.name.startswith(".") and file.name.upper() != "DICOMDIR":
            one = slice_of(file)
            found += [one] if one else []
    return found


def _continues(before: list[Slice], new: list[Slice]) -> bool:
    """Whether the files of another folder go on with a series: none is a copy, and they are the same patient's.

    Nothing has a number twice, or a position twice where a folder gives one number to several files.
    """
    if {one.patient for one in before} != {one.patient for one in new}:
        return False
    if {one.instance for one in before} & {one.instance for one in new} - {""}:
        return False
    told = [[one.number for one in part] for part in (before, new)]
    if any(len(set(part)) < len(part) for part in told):
        told = [[one.position for one in part] for part in (before, new)]
    return not set(told[0]) & set(told[1]) - {""}
