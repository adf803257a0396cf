"""The series of a folder as a numbered list, and how one is chosen from it."""

from __future__ import annotations

import gzip
import re
from pathlib import Path

import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import generate_uid

from medsr.core.errors import ChoiceError, InputError, UsageError
from medsr.io.scans import expand
from medsr.io.volumes import volume as volume_io
from medsr.io.volumes.dicom.series_list import choose_series, list_series
from medsr.io.volumes.dicom.series_words import table
from tests.helpers.dicom import slice_of, write_slices

AXIAL, SAGITTAL, CORONAL = [1, 0, 0, 0, 1, 0], [0, 1, 0, 0, 0, -1], [1, 0, 0, 0, 0, -1]
BASE = "1.2.826.0.1.3680043"
FLAIR, DIFFUSION, SCOUT = f"{BASE}.8.20", f"{BASE}.8.7", f"{BASE}.9"


def series(count: int, uid: str, **tags: object) -> list[Dataset]:
    """Axial slices of MR, 4 mm thick every 4.8 mm."""
    return [
        slice_of(k, **({"Modality": "MR", "SliceThickness": 4, "SeriesInstanceUID": uid} | at(4.8 * k) | tags))
        for k in range(count)
    ]


def at(place: float, cosines: list[int] = AXIAL) -> dict[str, object]:
    return {"ImageOrientationPatient": cosines, "ImagePositionPatient": [0, 0, place]}


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """A FLAIR, diffusion of three b-values, and a scout in three planes; numbered against the order of their UIDs."""
    flair = {"SeriesDescription": "T2 FLAIR", "RepetitionTime": 9000, "EchoTime": 120, "InversionTime": 2500}
    slices = series(6, FLAIR, SeriesNumber=2, PixelSpacing=[0.9, 0.8], **flair)
    for b_value in (0, 500, 1000):
        tags = {"DiffusionBValue": b_value, "SeriesDescription": "ep2d DIFF", "EchoTime": 80, "SliceThickness": 4.8}
        slices += series(5, DIFFUSION, SeriesNumber=10, **tags)
    for plane in (AXIAL, SAGITTAL, CORONAL):
        slices += series(1, SCOUT, SeriesNumber=1, ProtocolName="Scout", EchoTime=2, **at(3, plane))
    return write_slices(tmp_path / "study", slices)


def test_the_list_says_what_tells_series_apart(study: Path) -> None:
    listing = list_series(study)
    assert [(entry.number, entry.uid) for entry in listing] == [(1, SCOUT), (2, FLAIR), (3, DIFFUSION)]
    assert [" ".join(line.split()) for line in table(listing)] == [
        "1 MR 3 planes Scout (TE 2 ms) 8 x 6, 3 images 0.5 x 0.7 mm, slice of 4 mm ...3680043.9",
        "2 MR axial T2 FLAIR (TR 9000 TE 120 TI 2500 ms) 8 x 6 x 6 0.8 x 0.9 mm, slices of 4 mm every 4.8 mm ...8.20",
        "3 MR axial ep2d DIFF (TE 80 ms) 8 x 6 x 5 x 3 0.5 x 0.7 mm, slices of 4.8 mm ...8.7",
    ]
    lines = table(listing)
    assert len({line.index(" x 6") for line in lines}) == 1  # in columns


def test_the_list_agrees_with_the_volume_that_is_read(study: Path) -> None:
    for entry in list_series(study)[1:]:
        volume = volume_io.read(study, entry.uid)
        assert entry.size == " x ".join(map(str, volume.stored.shape))
        pixels = " x ".join(f"{step:g}" for step in np.round(volume.grid.spacing[:2], 2))
        assert entry.spacing.startswith(f"{pixels} mm")
        assert f"{volume.grid.spacing[2]:g} mm" in entry.spacing


@pytest.mark.parametrize(
    ("wanted", "uid"),
    [
        (FLAIR, FLAIR),
        ("8.20", FLAIR),
        ("...8.20", FLAIR),
        ("2", FLAIR),
        ("20", FLAIR),  # no such number: the end of a UID
        ("7", DIFFUSION),
        ("3", DIFFUSION),
        (" 3 ", DIFFUSION),
        ("flair", FLAIR),
        ("Diff", DIFFUSION),
        ("scout", SCOUT),
        ("diff:2", f"{DIFFUSION}:2"),
        ("3:1", f"{DIFFUSION}:1"),
        (f"{FLAIR}:1", f"{FLAIR}:1"),
    ],
)
def test_a_series_is_chosen_by_number_description_or_uid(study: Path, wanted: str, uid: str) -> None:
    assert choose_series(study, wanted) == uid


def test_the_number_of_the_list_goes_before_the_end_of_a_uid(tmp_path: Path) -> None:
    for number, uid in enumerate(("1.2.2", "1.2.1"), 1):
        write_slices(tmp_path / str(number), series(number + 1, uid, SeriesNumber=number))
    assert choose_series(tmp_path, "2") == "1.2.1"
    assert choose_series(tmp_path, ".2") == "1.2.2"
    assert volume_io.read(tmp_path, "2").stored.shape == (8, 6, 3)


@pytest.mark.parametrize(
    ("wanted", "listed", "other"),
    [("f", ["2 (MR", "3 (MR"], "1 (MR"), ("T9", ["1 (MR", "2 (MR", "3 (MR"], "4 ("), (":2", ["1 (MR", "3 (MR"], "4 (")],
)
def test_what_does_not_name_one_series_is_answered_by_the_list(
    study: Path, wanted: str, listed: list[str], other: str
) -> None:
    with pytest.raises(ChoiceError) as refused:
        choose_series(study, wanted)
    for text in listed:
        assert text in str(refused.value)
    assert other not in str(refused.value)
    assert "FLAIR" not in str(refused.value)  # goes into tables
    assert any("FLAIR" in line for line in refused.value.choices)  # stays on the terminal
    assert "T9" not in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("wanted", ["", "  ", f"{FLAIR}:x", "3:0", ":"])
def test_what_cannot_name_a_series_is_refused(study: Path, wanted: str) -> None:
    with pytest.raises(UsageError):
        choose_series(study, wanted)


def test_a_description_may_hold_a_colon(tmp_path: Path) -> None:
    write_slices(tmp_path, series(2, "1.2.3", SeriesDescription="AX: T1"))
    assert choose_series(tmp_path, "ax: t") == "1.2.3"


def test_a_series_without_uid_is_listed_and_cannot_be_named(tmp_path: Path) -> None:
    write_slices(tmp_path / "a", series(3, "", SeriesNumber=1))
    write_slices(tmp_path / "b", series(2, "Doe^Jane", SeriesNumber=2))
    lines = table(list_series(tmp_path))
    assert lines[0].endswith("(no UID)")
    assert lines[1].endswith("(an invalid UID)")
    with pytest.raises(UsageError, match="series 1 has no UID; put its files into a folder of their own"):
        choose_series(tmp_path, "1")
    assert volume_io.read(tmp_path / "a", "1").stored.shape == (8, 6, 3)


def test_descriptions_are_one_clean_line_and_short(tmp_path: Path) -> None:
    texts = ["\x1b[31mT1\x1b[0m\r\n post \u202egad", f"{'long ' * 12}end", "\x1b]0;title\x07T2\t*"]
    for number, text in enumerate(texts):
        tags = {"SeriesNumber": number, "SeriesDescription": "X"}
        for k, dataset in enumerate(series(2, f"1.2.{number}", SpecificCharacterSet="ISO_IR 192", **tags)):
            dataset["SeriesDescription"]._value = text  # as damaged or hostile programs write it
            dataset.save_as(tmp_path / f"{number}{k}.dcm", enforce_file_format=True)
    listing = list_series(tmp_path)
    assert [entry.description for entry in listing] == ["T1 post gad", f"{'long ' * 12}end", "T2 *"]
    assert all(line.isprintable() for line in table(listing))
    assert "long lo..." in table(listing)[1]
    assert max(map(len, table(listing))) < 120
    assert choose_series(tmp_path, "LONG END") == "1.2.1"


def test_descriptions_of_any_language_stand_in_columns_and_are_found(tmp_path: Path) -> None:
    names = ("Körper", "頭部 T2", "T1\\post")
    for number, name in enumerate(names):
        tags = {"SeriesNumber": number, "SpecificCharacterSet": "ISO_IR 192", "SeriesDescription": name}
        write_slices(tmp_path / str(number), series(2, f"1.2.{number}", **tags))
    lines = table(list_series(tmp_path))
    assert [line[: line.index("8 x 6")] for line in lines] == [
        "  1  MR  axial  Körper   ",
        "  2  MR  axial  頭部 T2  ",  # two columns a character
        "  3  MR  axial  T1 post  ",
    ]
    assert choose_series(tmp_path, "KO\u0308RPER") == "1.2.0"
    assert choose_series(tmp_path, "頭部") == "1.2.1"
    assert choose_series(tmp_path, "T1 post") == "1.2.2"


def enhanced() -> Dataset:
    """Three places with two echoes each, in one file."""
    dataset = slice_of(0, NumberOfFrames=6, Modality="MR", SeriesInstanceUID=f"{BASE}.1", SeriesNumber=1)
    del dataset.ImagePositionPatient, dataset.ImageOrientationPatient, dataset.PixelSpacing, dataset.SliceThickness
    shared, plane, measures, timing = Dataset(), Dataset(), Dataset(), Dataset()
    plane.ImageOrientationPatient, timing.RepetitionTime = SAGITTAL, 3000
    measures.PixelSpacing, measures.SliceThickness = [0.6, 0.5], 2
    shared.PlaneOrientationSequence, shared.PixelMeasuresSequence = [plane], [measures]
    shared.MRTimingAndRelatedParametersSequence = [timing]
    groups = []
    for k in range(3):
        for echo in (10.0, 20.5):
            group, position, times = Dataset(), Dataset(), Dataset()
            position.ImagePositionPatient, times.EffectiveEchoTime = [2.5 * k, 0, 0], echo
            group.PlanePositionSequence, group.MREchoSequence = [position], [times]
            groups.append(group)
    dataset.SharedFunctionalGroupsSequence, dataset.PerFrameFunctionalGroupsSequence = [shared], groups
    dataset.PixelData = np.repeat(np.arange(6, dtype=np.uint16), 48).tobytes()
    return dataset


def test_any_object_is_listed(tmp_path: Path) -> None:
    """Enhanced files, colours, no positions, damaged numbers, one slice, copies; reports and states are left out."""
    no_place = slice_of(0, SeriesInstanceUID=f"{BASE}.2", SeriesNumber=2, NumberOfFrames=7, Modality="US")
    del no_place.ImagePositionPatient
    colour = {"SamplesPerPixel": 3, "PhotometricInterpretation": "RGB", "BitsAllocated": 8, "SeriesNumber": 3}
    odd = {"SeriesNumber": 5, "SliceThickness": "", "Modality": "Doe^Jane"}
    report = slice_of(0, Modality="SR", SeriesInstanceUID=f"{BASE}.6")
    del report.Rows, report.Columns, report.PixelData
    copies = series(2, f"{BASE}.7", SeriesNumber=7)
    objects = [
        *(enhanced(), no_place, *series(1, f"{BASE}.3", **colour), *series(1, f"{BASE}.4", SeriesNumber=4)),
        *(*series(2, f"{BASE}.5", **odd), report, *copies, *copies),
    ]
    write_slices(tmp_path, objects)
    (tmp_path / "cut.dcm").write_bytes(gzip.compress((tmp_path / "00_0.dcm").read_bytes())[:-60])
    (tmp_path / "notes.txt").write_text("no image")
    damaged: list[str] = []
    assert [entry.words for entry in list_series(tmp_path, damaged)] == [
        "MR, sagittal, TR 3000 TE 10/20.5 ms, 8 x 6 x 3 x 2, 0.5 x 0.6 mm, slices of 2 mm every 2.5 mm",
        "US, 8 x 6, 7 images",
        "MR, 8 x 6, 1 image",
        "MR, axial, 8 x 6 x 1, 0.5 x 0.7 mm, slice of 4 mm",
        "OT, axial, 8 x 6 x 2, 0.5 x 0.7 mm, slices every 4.8 mm",
        "MR, axial, 8 x 6 x 2, 0.5 x 0.7 mm, slices of 4 mm every 4.8 mm",
    ]
    assert len(damaged) == 1
    assert "cut.dcm" in damaged[0]


def test_an_oblique_stack_with_uneven_steps_says_so(tmp_path: Path) -> None:
    slices = [slice_of(k, SliceThickness=2, RepetitionTime=str(k + 500)) for k in (0, 1, 2, 4)]
    [entry] = list_series(write_slices(tmp_path, slices))
    assert entry.words == (
        "CT, axial, oblique, TR 500 to 504 ms, 8 x 6 x 4, 0.5 x 0.7 mm, slices of 2 mm every 3 to 6 mm"
    )


@pytest.mark.parametrize("name", ["empty", "text.txt", "gone", "cut.zip"])
def test_where_no_dicom_is_there_is_one_line(tmp_path: Path, name: str) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "text.txt").write_text("no image")
    (tmp_path / "cut.zip").write_bytes(b"PK\3\4 and no more")
    with pytest.raises(InputError, match=re.escape(str(tmp_path / name))):
        choose_series(tmp_path / name, "1")


def test_results_are_numbered_as_the_list_is(study: Path, tmp_path: Path) -> None:
    uids = [entry.uid for entry in list_series(study)]
    scans = expand([study]).scans
    assert [(scan.number, scan.series) for scan in scans] == list(enumerate(uids, 1))


def test_a_series_is_chosen_among_files_that_are_named(study: Path) -> None:
    [scan] = expand([f"{study}/*.dcm"], series="flair").scans
    assert scan.series == FLAIR
    assert scan.path == study
    [scan] = expand([study], series="diff:2").scans
    assert (scan.series, scan.volume) == (f"{DIFFUSION}:2", 2)


def test_a_study_of_thousands_of_orientations_takes_no_minutes(tmp_path: Path) -> None:
    """Rotating projections; each of another plane."""
    import time

    uid = generate_uid(None)
    for k, turn in enumerate(np.linspace(0, np.pi, 300)):
        cosines = [round(np.cos(turn), 6), round(np.sin(turn), 6), 0, 0, 0, -1]
        dataset = slice_of(k, SeriesInstanceUID=uid, ImageOrientationPatient=cosines)
        dataset.save_as(tmp_path / f"{k}.dcm", enforce_file_format=True)
    began = time.process_time()
    [entry] = list_series(tmp_path)
    assert time.process_time() - began < 5
    assert (entry.size, entry.plane) == ("8 x 6, 300 images", "sagittal and coronal")
