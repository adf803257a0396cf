"""Slices of the thickness that headers state: what is taken, what is said, and that it can be made again."""

from __future__ import annotations

import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from pydicom.dataset import Dataset
from scipy.ndimage import gaussian_filter
from typer.testing import CliRunner

from medsr.cli.app import app
from medsr.commands.reproduce import reproduce
from medsr.commands.volume.run import volume
from medsr.io.volumes import volume as volume_io
from medsr.io.volumes.base import NIFTI, Volume
from medsr.volumes.acquisition import Acquisition
from medsr.volumes.slice_thickness import slice_thickness
from tests.helpers.dicom import slice_of, write_slices
from tests.helpers.scans import NRRD_3D, ramp, write_nrrd

STEP = 4.8


def truth() -> np.ndarray:
    field = gaussian_filter(np.random.default_rng(7).random((32, 36, 48)), 2)
    return (100 + 500 * (field - field.min()) / np.ptp(field)).astype(np.float32)


def scan(path: Path, thickness: float = 4.0, **sidecar: object) -> Path:
    """Slices of `thickness` every 4.8 mm, ten of them, pixels of 1 mm, with the JSON of a converter."""
    seen = Acquisition((32, 36, 10), truth().shape, "box", thickness / STEP, 2).simulate_acquisition(truth())
    nib.save(nib.Nifti1Image(seen, np.diag([1, 1, STEP, 1])), path)
    if sidecar:
        path.with_name(path.name.split(".")[0] + ".json").write_text(json.dumps(sidecar))
    return path


def refined(path: Path, out: Path, **options: object) -> tuple[np.ndarray, dict]:
    [outcome] = volume(path, out, model="back-projected", spacing=1, **options)
    assert outcome.error is None, outcome.error
    return nib.load(out).get_fdata(), json.loads(out.with_suffix(".json").read_text())


@pytest.mark.parametrize(
    ("tags", "mm", "words", "note"),
    [
        ({"SliceThickness": 2.5}, 2.5, "slices of 2.5 mm every 3 mm, by the header: gaps of 0.5 mm", ""),
        ({"SliceThickness": 6}, 6, "slices of 6 mm every 3 mm, by the header: they overlap by 3 mm", ""),
        ({"SliceThickness": 3.05}, 3, "", ""),
        ({"SliceThickness": None}, 3, "", ""),
        ({"SliceThickness": -4}, 3, "", "slice thickness of -4 mm is not plausible"),
        ({"SliceThickness": 0}, 3, "", "slice thickness of 0 mm is not plausible"),
        ({"SliceThickness": 500}, 3, "", "slice thickness of 500 mm is not plausible"),
        ({"SliceThickness": 7}, 3, "", "slice thickness of 7 mm is more than twice the distance of the slices (3 mm)"),
        ({"SliceThickness": 0.5}, 3, "", "slice thickness of 0.5 mm is less than a third of the distance"),
        ({"SliceThickness": 6, "MRAcquisitionType": "3D"}, 3, "", "interpolated by the scanner"),
        ({"SliceThickness": 2.5, "MRAcquisitionType": "3D"}, 2.5, "gaps of 0.5 mm", ""),
        (
            {"SliceThickness": 6, "MRAcquisitionType": "3D", "ImageType": ["DERIVED", "SECONDARY", "MPR"]},
            *(6, "they overlap by 3 mm", ""),
        ),
        ({"SliceThickness": 2.5, "SpacingBetweenSlices": 5}, 2.5, "gaps of 0.5 mm", "says 5 mm between slices"),
        ({"SliceThickness": 2.5, "SpacingBetweenSlices": -3}, 2.5, "gaps of 0.5 mm", ""),
    ],
)
def test_of_dicom(tmp_path: Path, tags: dict, mm: float, words: str, note: str) -> None:
    image = volume_io.read(write_slices(tmp_path / "s", [slice_of(k, Modality="MR", **tags) for k in range(5)]))
    taken = slice_thickness(image)
    assert taken.mm == pytest.approx(mm)
    assert taken.source == ("header" if words else "spacing")
    assert words in taken.words
    assert bool(taken.words) == bool(words)
    notes = [text for text in (*image.notes, *taken.notes) if "slice" in text]
    assert len(notes) == bool(note)
    assert note in "".join(notes)


@pytest.mark.parametrize("text", [b"Doe^", b"nan ", b"4\\5 "])
@pytest.mark.parametrize("keyword", ["SliceThickness", "SpacingBetweenSlices"])
def test_what_is_not_a_number_is_ignored_and_not_repeated(tmp_path: Path, text: bytes, keyword: str) -> None:
    folder = write_slices(tmp_path / "s", [slice_of(k, SliceThickness=3, SpacingBetweenSlices=3) for k in range(4)])
    number = pydicom.tag.Tag(keyword)
    key = number.group.to_bytes(2, "little") + number.element.to_bytes(2, "little") + b"DS"
    for path in folder.iterdir():
        content = path.read_bytes()
        start = content.index(key) + 6
        length = int.from_bytes(content[start : start + 2], "little")
        value = len(text).to_bytes(2, "little") + text
        path.write_bytes(content[:start] + value + content[start + 2 + length :])
    image = volume_io.read(folder)
    assert slice_thickness(image).width == 1
    [note] = image.notes
    assert "Doe" not in note


def test_slices_of_different_thickness_are_taken_by_their_distance(tmp_path: Path) -> None:
    slices = [slice_of(k, SliceThickness=2 if k < 3 else 2.5) for k in range(6)]
    image = volume_io.read(write_slices(tmp_path / "s", slices))
    assert image.thickness is None
    assert any("of different thickness by the header (2 to 2.5 mm)" in note for note in image.notes)


def test_of_an_enhanced_file(tmp_path: Path) -> None:
    dataset = slice_of(0, NumberOfFrames=4, Modality="MR")
    del dataset.SliceThickness, dataset.PixelSpacing, dataset.ImagePositionPatient
    measures, shared = Dataset(), Dataset()
    measures.PixelSpacing, measures.SliceThickness, measures.SpacingBetweenSlices = [1, 1], 4, 4.8
    shared.PixelMeasuresSequence = [measures]
    groups = []
    normal = np.cross(*np.reshape([float(x) for x in dataset.ImageOrientationPatient], (2, 3)))
    for place in range(4):
        group, position = Dataset(), Dataset()
        position.ImagePositionPatient = [round(float(x), 5) for x in STEP * place * normal]
        group.PlanePositionSequence = [position]
        groups.append(group)
    dataset.SharedFunctionalGroupsSequence, dataset.PerFrameFunctionalGroupsSequence = [shared], groups
    dataset.PixelData = np.arange(4 * 48, dtype=np.uint16).tobytes()
    dataset.save_as(tmp_path / "e.dcm", enforce_file_format=True)
    image = volume_io.read(tmp_path / "e.dcm")
    assert image.thickness == 4
    assert slice_thickness(image).words == "slices of 4 mm every 4.8 mm, by the header: gaps of 0.8 mm"
    assert not image.notes


def test_a_tilted_gantry_leaves_no_gap() -> None:
    """The slices' positions are further apart than the slices: those lie across the table, not across themselves."""
    affine = np.diag([1.0, 1.0, 4.0, 1.0])
    affine[1, 2] = 4 * np.tan(np.radians(18.5))
    image = Volume(np.zeros((4, 4, 4), np.int16), affine, NIFTI, thickness=4.0)
    assert image.grid.spacing[2] == pytest.approx(4.22, abs=0.01)
    assert slice_thickness(image).width == 1


@pytest.mark.parametrize(
    ("sidecar", "mm", "note"),
    [
        ({"SliceThickness": 4, "SpacingBetweenSlices": STEP}, 4, ""),
        ({"SliceThickness": 4}, 4, ""),
        ({"SliceThickness": 4, "SpacingBetweenSlices": 0.8}, 4, "beside it says 0.8 mm between slices"),
        ({"SliceThickness": 4, "SpacingBetweenSlices": 2.4}, None, "beside it says 2.4 mm between slices"),
        ({"SliceThickness": "thick"}, None, "not a number"),
        ({"SliceThickness": [4, 4]}, None, "not a number"),
        ({"SliceThickness": True}, None, "not a number"),
        ({"SliceThickness": float("nan")}, None, "of nan mm is not plausible"),
        ({"SliceThickness": 9.6, "MRAcquisitionType": "3D", "ImageType": ["ORIGINAL"]}, None, "interpolated"),
        ({"tool": "medsr", "SliceThickness": 4}, None, ""),
    ],
)
def test_of_a_json_beside_a_nifti(tmp_path: Path, sidecar: dict, mm: float | None, note: str) -> None:
    image = volume_io.read(scan(tmp_path / "s.nii.gz", **sidecar))
    assert image.thickness == mm
    assert note in " ".join(image.notes)
    assert bool(image.notes) == bool(note)


def test_of_nrrd_as_itk_has_it(tmp_path: Path) -> None:
    path = write_nrrd(tmp_path / "a.nrrd", NRRD_3D + "spacings: 1 1 4\nthicknesses: nan nan 3.25\n", ramp())
    assert "NRRD_thicknesses[2]" in sitk.ReadImage(str(path)).GetMetaDataKeys()
    image = volume_io.read(path)
    assert image.thickness == 3.25
    volume_io.write(tmp_path / "b.nrrd", image.refined(np.repeat(image.stored, 2, 2)))
    assert volume_io.read(tmp_path / "b.nrrd").thickness is None


def test_of_nrrd_in_other_units(tmp_path: Path) -> None:
    geometry = "space dimension: 3\nspace directions: (100,0,0) (0,100,0) (0,0,400)\nthicknesses: nan nan 300\n"
    units = 'space units: "um" "um" "um"\n'
    image = volume_io.read(write_nrrd(tmp_path / "a.nrrd", NRRD_3D + geometry + units, ramp()))
    assert image.thickness == pytest.approx(0.3)


def test_of_metaimage(tmp_path: Path) -> None:
    head = "ObjectType = Image\nNDims = 3\nBinaryData = True\nBinaryDataByteOrderMSB = False\n"
    head += "ElementSpacing = 1 1 4\nElementSize = 1 1 3\nDimSize = 6 5 4\nElementType = MET_SHORT\n"
    path = tmp_path / "a.mha"
    path.write_bytes(f"{head}ElementDataFile = LOCAL\n".encode() + ramp().tobytes(order="F"))
    assert volume_io.read(path).thickness == 3


@pytest.mark.slow
def test_the_gap_is_said_kept_in_the_sidecar_and_made_again_without_the_json(tmp_path: Path) -> None:
    path = scan(tmp_path / "s.nii.gz", SliceThickness=4, SpacingBetweenSlices=STEP)
    out = tmp_path / "out" / "o.nii"
    done = CliRunner().invoke(
        app, ["volume", str(path), "--out", str(out), "--model", "back-projected", "--spacing", "1", "--report"]
    )
    assert done.exit_code == 0, done.output
    line = "slices of 4 mm every 4.8 mm, by the header: gaps of 0.8 mm"
    assert " ".join(done.output.split()).count(line) == 1
    assert "Slices of 4 mm every 4.8 mm, by the header." in (out.parent / "o_report.html").read_text()
    sidecar = out.with_suffix(".json")
    acquisition = json.loads(sidecar.read_text())["acquisition"]
    assert (acquisition["thickness_mm"], acquisition["source"]) == (4, "header")
    by_header = nib.load(out).get_fdata()
    by_option, summary = refined(path, tmp_path / "option.nii", thickness=4)
    assert summary["acquisition"]["source"] == "option"
    np.testing.assert_array_equal(by_header, by_option)
    (tmp_path / "s.json").unlink()
    assert reproduce(sidecar)[0].how == "the same bytes"
    by_spacing, summary = refined(path, tmp_path / "spacing.nii")
    assert summary["acquisition"]["source"] == "spacing"
    errors = [np.abs(result - truth())[:, :, 5:-5].mean() for result in (by_header, by_spacing)]
    assert errors[0] < errors[1]


def test_info_says_how_a_scan_was_acquired(tmp_path: Path) -> None:
    stated = CliRunner().invoke(app, ["info", str(scan(tmp_path / "s.nii.gz", SliceThickness=4))])
    assert stated.exit_code == 0, stated.output
    assert "slices of 4 mm every 4.8 mm, by the header: gaps of 0.8 mm" in stated.output
    plain = CliRunner().invoke(app, ["info", str(scan(tmp_path / "t.nii.gz"))])
    assert "no header says how thick they are" in plain.output
    facts = json.loads(CliRunner().invoke(app, ["info", "--json", str(tmp_path / "s.nii.gz")]).output)
    assert facts["acquisition"] == {"thickness_mm": 4.0, "distance_mm": pytest.approx(STEP), "source": "header"}


def test_a_result_older_than_the_look_at_headers_is_made_again_as_it_was(tmp_path: Path) -> None:
    path = scan(tmp_path / "s.nii.gz")
    refined(path, tmp_path / "o.nii")
    sidecar = tmp_path / "o.json"
    summary = json.loads(sidecar.read_text())
    del summary["acquisition"]
    sidecar.write_text(json.dumps(summary))
    (tmp_path / "s.json").write_text(json.dumps({"SliceThickness": 4}))
    assert reproduce(sidecar)[0].how == "the same bytes"


def test_two_percent_are_rounding(tmp_path: Path) -> None:
    plain, _ = refined(scan(tmp_path / "s.nii.gz"), tmp_path / "a.nii")
    same, summary = refined(scan(tmp_path / "t.nii.gz", SliceThickness=4.72), tmp_path / "b.nii")
    np.testing.assert_array_equal(plain, same)
    assert summary["acquisition"]["source"] == "spacing"


def test_nothing_is_said_where_slices_are_not_refined(tmp_path: Path) -> None:
    lines: list[str] = []
    path = scan(tmp_path / "s.nii.gz", SliceThickness=4)
    volume(path, tmp_path / "o.nii", model="cubic", spacing=(0.5, 0.5, STEP), notify=lines.append)
    assert not [line for line in lines if "by the header" in line]
    volume(path, tmp_path / "p.nii", model="cubic", spacing=1, notify=lines.append)
    assert len([line for line in lines if "by the header" in line]) == 1


def test_a_derived_series_keeps_the_thickness_of_slices_that_stay(tmp_path: Path) -> None:
    folder = write_slices(tmp_path / "s", [slice_of(k, SliceThickness=2.5) for k in range(5)])
    for name, spacing, expected in (("within", (0.25, 0.35, 3), 2.5), ("across", (0.5, 0.7, 1.5), 1.5)):
        [outcome] = volume(folder, tmp_path / name, model="cubic", spacing=spacing, dicom=True)
        assert outcome.error is None, outcome.error
        first = pydicom.dcmread(next(iter(sorted(outcome.output.iterdir()))))
        assert float(first.SliceThickness) == pytest.approx(expected)


def test_real_series(real_data: Path) -> None:
    gap = slice_thickness(volume_io.read(real_data / "mri_thick" / "fse_pd_dicom"))
    assert (gap.mm, gap.source) == (5, "header")
    assert "gaps of 2 mm" in gap.words
    mixed = volume_io.read(real_data / "ct" / "head_gantry_tilt_dicom")
    assert slice_thickness(mixed).width == 1
    assert any("4 to 7 mm" in note for note in mixed.notes)
