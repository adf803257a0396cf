"""DICOM series: order, gaps, doubles, tilt, several series, zips; and back to DICOM."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from pydicom.uid import generate_uid

from medsr.core.errors import InputError, UsageError
from medsr.io import scans
from medsr.io.images import image as image_io
from medsr.io.volumes import volume as volume_io
from medsr.io.volumes.dicom.write import write_series
from tests.helpers.dicom import SERIES, slice_of, write_dicomdir, write_slices


@pytest.fixture
def series(tmp_path: Path) -> Callable[..., Path]:
    return lambda *slices, name="series": write_slices(tmp_path / name, list(slices))


def test_slices_are_ordered_by_position_and_lie_where_simpleitk_sees_them(series: Callable[..., Path]) -> None:
    folder = series(*(slice_of(index) for index in (3, 0, 4, 1, 2)))
    volume = volume_io.read(folder)
    assert volume.stored.shape == (8, 6, 5)
    np.testing.assert_array_equal(volume.stored[0, 0], [0, 100, 200, 300, 400])
    assert (volume.slope, volume.intercept, volume.modality) == (1, -1024, "CT")
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(folder)))
    image = reader.Execute()
    for index in ((0, 0, 0), (7, 0, 4), (3, 5, 2), (7, 5, 4)):
        ours = (volume.affine @ [*index, 1])[:3] * [-1, -1, 1]
        np.testing.assert_allclose(ours, image.TransformIndexToPhysicalPoint(index), atol=1e-3)
        assert image.GetPixel(*index) == int(volume.stored[index]) - 1024


def test_a_zip_and_stray_files_give_the_same_volume(series: Callable[..., Path], tmp_path: Path) -> None:
    folder = series(*(slice_of(index) for index in range(4)))
    expected = volume_io.read(folder)
    (folder / "report.txt").write_text("no image")
    with zipfile.ZipFile(tmp_path / "scan.zip", "w") as archive:
        for file in folder.iterdir():
            archive.write(file, f"deep/{file.name}")
    for path in (folder, tmp_path / "scan.zip"):
        volume = volume_io.read(path)
        np.testing.assert_array_equal(volume.stored, expected.stored)
        assert any("1 file(s) that are not DICOM images" in note for note in volume.notes)


def test_several_series_are_listed_and_one_is_named(series: Callable[..., Path]) -> None:
    other = generate_uid(None)
    folder = series(
        *(slice_of(index) for index in range(3)),
        *(slice_of(index, SeriesInstanceUID=other, Modality="MR") for index in range(4)),
    )
    with pytest.raises(UsageError) as caught:
        volume_io.read(folder)
    assert SERIES in str(caught.value)
    assert other in str(caught.value)
    assert "Doe" not in str(caught.value)
    assert volume_io.read(folder, other).stored.shape == (8, 6, 4)
    with pytest.raises(UsageError, match="0 series match"):
        volume_io.read(folder, "1.2.3")


def test_a_missing_slice_is_an_error_that_says_where(series: Callable[..., Path]) -> None:
    with pytest.raises(InputError, match=r"1 slice\(s\) missing between .* 6.00 mm beside 3.00"):
        volume_io.read(series(*(slice_of(index) for index in (0, 1, 2, 4, 5))))


def test_a_slice_that_is_there_twice_is_taken_once(series: Callable[..., Path]) -> None:
    volume = volume_io.read(series(*(slice_of(index) for index in (0, 1, 1, 2))))
    assert volume.stored.shape[2] == 3
    assert any("twice" in note for note in volume.notes)
    different = slice_of(1, PixelData=np.full((6, 8), 9, np.uint16).tobytes())
    with pytest.raises(InputError, match="echoes or time points"):
        volume_io.read(series(slice_of(0), slice_of(1), different, slice_of(2), name="other"))


def test_a_scout_among_slices_is_not_part_of_their_volume(series: Callable[..., Path]) -> None:
    scout = slice_of(2, ImageOrientationPatient=[0, 1, 0, 0, 0, -1])
    folder = series(slice_of(0), slice_of(1), scout)
    with pytest.raises(UsageError, match=r"2 acquisitions.*:1 \(2 slices.*:2 \(1 slice,"):
        volume_io.read(folder)
    assert volume_io.read(folder, ":1").stored.shape[2] == 2
    with pytest.raises(InputError, match="one slice: not a volume"):
        volume_io.read(folder, ":2")


def test_gantry_tilt_is_kept_as_shear_and_said(series: Callable[..., Path]) -> None:
    slices = [slice_of(index) for index in range(4)]
    for index, dataset in enumerate(slices):
        dataset.ImagePositionPatient = [-20, -30, 40 + 3 * index]
    volume = volume_io.read(series(*slices))
    assert any("gantry tilt of 17.2 degrees" in note for note in volume.notes)
    np.testing.assert_allclose((volume.affine @ [0, 0, 3, 1])[:3], [20, 30, 49], atol=1e-6)


@pytest.mark.parametrize("moved", [(2,), (3, 4, 5)])
def test_slices_that_jump_sideways_are_refused(series: Callable[..., Path], moved: tuple[int, ...]) -> None:
    slices = [slice_of(index) for index in range(6)]
    for index in moved:
        x, y, z = slices[index].ImagePositionPatient
        slices[index].ImagePositionPatient = [float(x) + 12, y, z]
    with pytest.raises(InputError, match="one straight line"):
        volume_io.read(series(*slices))


@pytest.mark.parametrize("step", [0.6, 0.75, 0.9375, 1.3333])
def test_positions_of_one_decimal_are_an_even_stack(series: Callable[..., Path], step: float) -> None:
    slices = [slice_of(index, ImageOrientationPatient=[1, 0, 0, 0, 1, 0]) for index in range(30)]
    for index, dataset in enumerate(slices):
        dataset.ImagePositionPatient = [-20, -30, round(40 + step * index, 1)]
    volume = volume_io.read(series(*slices))
    assert volume.stored.shape[2] == 30
    assert volume.grid.spacing[2] == pytest.approx(step, abs=0.005)
    assert not any("interpolated" in note or "tilt" in note for note in volume.notes)


def test_a_result_in_the_series_folder_does_not_hide_it(series: Callable[..., Path]) -> None:
    folder = series(*(slice_of(index) for index in range(4)))
    (folder / "fine.nii.gz").write_bytes(b"")
    assert [scan.path for scan in scans.expand([folder]).scans] == [folder, folder / "fine.nii.gz"]
    (folder / "fine.json").write_text('{"tool": "medsr"}')
    assert [scan.path for scan in scans.expand([folder]).scans] == [folder]


def test_uneven_steps_are_brought_onto_even_ones_and_said(series: Callable[..., Path]) -> None:
    places = [0, 3, 6, 9, 13, 17, 21]
    slices = [slice_of(index) for index in range(len(places))]
    normal = np.cross([1, 0, 0], [0, np.cos(0.3), -np.sin(0.3)])
    for region, dataset in zip(places, slices, strict=True):
        dataset.ImagePositionPatient = [round(float(x), 6) for x in np.array([-20, -30, 40]) + region * normal]
        dataset.PixelData = np.full((6, 8), 10 * region, np.uint16).tobytes()
    volume = volume_io.read(series(*slices))
    assert any("steps vary from 3.00 to 4.00" in note for note in volume.notes)
    count = volume.stored.shape[2]
    positions = np.array([(volume.affine @ [0, 0, k, 1])[:3] * [-1, -1, 1] for k in range(count)])
    along = (positions - positions[0]) @ normal
    np.testing.assert_allclose(volume.stored[0, 0], 10 * along, atol=0.51)  # a ramp in space stays that ramp


def test_slices_without_a_position_or_in_colour_are_refused(series: Callable[..., Path]) -> None:
    lost = slice_of(1)
    del lost.ImagePositionPatient
    with pytest.raises(InputError, match="ImagePositionPatient"):
        volume_io.read(series(slice_of(0), lost))
    colour = slice_of(1, SamplesPerPixel=3, PhotometricInterpretation="RGB")
    with pytest.raises(InputError, match="RGB"):
        volume_io.read(series(slice_of(0), colour, name="colour"))


def test_slices_with_slopes_of_their_own_become_what_they_mean(series: Callable[..., Path]) -> None:
    volume = volume_io.read(series(slice_of(0), slice_of(1, RescaleSlope=2), slice_of(2)))
    assert volume.stored.dtype == np.float32
    np.testing.assert_allclose(volume.stored[0, 0], [-1024, 200 - 1024, 200 - 1024])


def test_a_derived_series_reads_back_with_new_uids_and_a_note(series: Callable[..., Path], tmp_path: Path) -> None:
    volume = volume_io.read(series(*(slice_of(index) for index in range(4))))
    fine = np.repeat(volume.stored, 3, axis=2)
    write_series(tmp_path / "derived", volume.refined(fine), "Super-resolved")
    again = volume_io.read(tmp_path / "derived")
    np.testing.assert_array_equal(again.stored, fine)
    np.testing.assert_allclose(again.affine, volume.refined(fine).affine, atol=1e-4)
    files = sorted((tmp_path / "derived").iterdir())
    headers = [pydicom.dcmread(file) for file in files]
    assert len({str(one.SOPInstanceUID) for one in headers}) == len(headers) == 12
    assert {str(one.SeriesInstanceUID) for one in headers} != {SERIES}
    first = headers[0]
    assert list(first.ImageType[:2]) == ["DERIVED", "SECONDARY"]
    assert "Super-resolved with medsr" in first.DerivationDescription
    assert (first.PatientID, first.BitsStored, float(first.SliceThickness)) == ("4711", 12, pytest.approx(1.0))
    with pytest.raises(UsageError, match="already there"):
        write_series(tmp_path / "derived", volume.refined(fine), "Super-resolved")


def test_real_series(real_data: Path) -> None:
    tilted = volume_io.read(real_data / "ct" / "head_gantry_tilt_dicom")
    assert any("gantry tilt of 18.5 degrees" in note for note in tilted.notes)
    assert any("1.08 to 7.00" in note for note in tilted.notes)
    thick = volume_io.read(real_data / "mri_thick" / "fse_pd_dicom")
    assert thick.stored.shape == (256, 256, 20)
    assert thick.grid.spacing[2] == pytest.approx(7.0, abs=0.01)
    assert any("header says 2 mm" in note for note in thick.notes)


def test_a_dicomdir_is_never_followed(tmp_path: Path, series: Callable[..., Path]) -> None:
    for name in ("DICOMDIR", "listing.dcm"):
        for reader in (volume_io.read, image_io.read):
            with pytest.raises(InputError, match=f"{name}.*DICOMDIR lists other files"):
                reader(write_dicomdir(tmp_path / name))
    folder = series(*(slice_of(index) for index in range(4)))
    write_dicomdir(folder / "DICOMDIR")
    write_dicomdir(folder / "listing.dcm")
    volume = volume_io.read(folder)
    assert volume.stored.shape == (8, 6, 4)
    assert volume.notes == ()


@pytest.mark.parametrize(
    ("tags", "said"),
    [
        ({"BurnedInAnnotation": "YES"}, "it may name the patient"),
        ({"Modality": "US"}, "does not say whether text is burned"),
        ({"Modality": "US", "BurnedInAnnotation": "NO"}, ""),
        ({}, ""),
    ],
)
def test_text_burned_into_the_slices_is_warned_of(series: Callable[..., Path], tags: dict[str, str], said: str) -> None:
    folder = series(*(slice_of(index, **(tags if index == 2 else {})) for index in range(4)))
    notes = volume_io.read(folder).notes
    assert len(notes) == bool(said)
    assert said in "".join(notes)


def test_a_uid_that_is_not_one_is_not_repeated(tmp_path: Path) -> None:
    for number, uid in enumerate(("Doe^Jane", "1.2.3")):
        for index in range(3):
            dataset = slice_of(index, SeriesInstanceUID=uid)
            dataset.save_as(tmp_path / f"{number}_{index}.dcm", enforce_file_format=True)
    with pytest.raises(UsageError, match=r"holds 2 series.*1\.2\.3") as refused:
        volume_io.read(tmp_path)
    assert "Doe" not in str(refused.value)


@pytest.mark.parametrize(
    ("tags", "told"),
    [
        ({"SliceThickness": "6", "SpacingBetweenSlices": "3"}, ""),
        ({"SliceThickness": "2"}, ""),
        ({"SliceThickness": "2", "SpacingBetweenSlices": "3"}, ""),
        ({"SliceThickness": "3", "SpacingBetweenSlices": "3"}, ""),
        (
            {"SliceThickness": "3", "SpacingBetweenSlices": "5"},
            "says 5 mm between slices, their positions 3.000 mm: used",
        ),
    ],
)
def test_what_the_header_says_of_the_slices_is_told(tags: dict[str, str], told: str, tmp_path: Path) -> None:
    notes = volume_io.read(write_slices(tmp_path / "series", [slice_of(k, **tags) for k in range(5)])).notes
    assert [told in note for note in notes if "the header says" in note] == ([True] if told else [])
