"""DICOM images of several frames: the chosen ones, each as it was stored, in an object whose header fits them."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import (
    ExplicitVRLittleEndian,
    JPEGBaseline8Bit,
    MultiFrameGrayscaleByteSecondaryCaptureImageStorage,
    MultiFrameGrayscaleWordSecondaryCaptureImageStorage,
    OphthalmicTomographyImageStorage,
    RLELossless,
    UltrasoundMultiFrameImageStorage,
    generate_uid,
)

import medsr
from medsr.core.errors import InputError, MedsrError, UsageError
from medsr.io.images import image as image_io
from medsr.io.images.frames import canonical, numbers

COUNT = 6


def pictures(count: int = COUNT, channels: int = 1, dtype: type = np.uint8) -> np.ndarray:
    """Frames that differ from each other, odd in size."""
    rng = np.random.default_rng(3)
    shape = (count, 21, 27, channels) if channels > 1 else (count, 21, 27)
    return rng.integers(0, 250 if dtype is np.uint8 else 4000, shape).astype(dtype)


def cine(pixels: np.ndarray, sop_class: str = UltrasoundMultiFrameImageStorage, **tags: object) -> Dataset:
    """An object of several frames, 40 ms apart."""
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = sop_class
    dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = generate_uid(), generate_uid()
    dataset.Modality, dataset.ImageType, dataset.BurnedInAnnotation = "US", ["ORIGINAL", "PRIMARY"], "NO"
    colour = pixels.ndim == 4
    dataset.NumberOfFrames, dataset.Rows, dataset.Columns = pixels.shape[:3]
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = (3, "RGB") if colour else (1, "MONOCHROME2")
    if colour:
        dataset.PlanarConfiguration = 0
    bits = pixels.dtype.itemsize * 8
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = bits, bits, bits - 1, 0
    dataset.FrameTime, dataset.FrameIncrementPointer = 40, 0x00181063
    for keyword, value in tags.items():
        setattr(dataset, keyword, value)
    data = pixels.tobytes()
    dataset.PixelData = data + b"\0" * (len(data) % 2)
    dataset["PixelData"].VR = "OW" if bits == 16 else "OB"
    return dataset


def item(**values: object) -> Dataset:
    dataset = Dataset()
    for keyword, value in values.items():
        setattr(dataset, keyword, value)
    return dataset


def tomography(pixels: np.ndarray) -> Dataset:
    """B-scans of an eye, 0.1 mm apart, in functional groups."""
    dataset = cine(pixels, OphthalmicTomographyImageStorage, Modality="OPT")
    del dataset.FrameTime, dataset.FrameIncrementPointer
    measures = item(PixelSpacing=[0.004, 0.01], SliceThickness=0.1, SpacingBetweenSlices=0.1)
    orientation = item(ImageOrientationPatient=[1, 0, 0, 0, 0, -1])
    dataset.SharedFunctionalGroupsSequence = [
        item(PixelMeasuresSequence=[measures], PlaneOrientationSequence=[orientation])
    ]
    dataset.PerFrameFunctionalGroupsSequence = [
        item(
            FrameContentSequence=[item(DimensionIndexValues=[1, n + 1], InStackPositionNumber=n + 1)],
            PlanePositionSequence=[item(ImagePositionPatient=[0, n * 0.1, 0])],
        )
        for n in range(len(pixels))
    ]
    return dataset


def saved(dataset: Dataset, path: Path) -> Path:
    dataset.save_as(path, enforce_file_format=True)
    return path


def result(path: Path, out: Path, frames: str | None, outscale: float = 1, **options: object) -> pydicom.Dataset:
    [outcome] = medsr.upscale(path, out, model="bicubic", outscale=outscale, frames=frames, **options)  # type: ignore[arg-type]
    if outcome.error is not None:
        raise outcome.error
    return pydicom.dcmread(outcome.output)


@pytest.mark.parametrize(("frames", "chosen"), [("all", range(COUNT)), ("1", [0]), ("2-4", [1, 2, 3]), ("5,1", [0, 4])])
@pytest.mark.parametrize("kind", ["grey", "words", "colour", "rle", "tomography"])
def test_chosen_frames_come_out_as_they_were_stored(tmp_path: Path, kind: str, frames: str, chosen: list[int]) -> None:
    pixels = pictures(channels=3 if kind in ("colour", "rle") else 1, dtype=np.uint16 if kind == "words" else np.uint8)
    word = MultiFrameGrayscaleWordSecondaryCaptureImageStorage
    dataset = tomography(pixels) if kind == "tomography" else cine(pixels, *([word] if kind == "words" else []))
    if kind == "rle":
        dataset.compress(RLELossless, encoding_plugin="pydicom")
    back = result(saved(dataset, tmp_path / "a.dcm"), tmp_path / "out", frames)
    assert back.NumberOfFrames == len(chosen)
    np.testing.assert_array_equal(back.pixel_array.reshape(-1, *pixels.shape[1:]), pixels[list(chosen)])


def test_every_frame_is_enlarged_as_it_is_alone(tmp_path: Path) -> None:
    pixels = pictures()
    back = result(saved(cine(pixels), tmp_path / "a.dcm"), tmp_path / "out", "all", 2)
    assert (back.Rows, back.Columns) == (42, 54)
    for n, picture in enumerate(pixels):
        single = cine(picture[None])
        del single.NumberOfFrames, single.FrameTime, single.FrameIncrementPointer
        alone = result(saved(single, tmp_path / f"{n}.dcm"), tmp_path / "single", None, 2)
        np.testing.assert_array_equal(back.pixel_array[n], alone.pixel_array)


def test_without_a_choice_frames_are_refused_with_how(tmp_path: Path) -> None:
    path = saved(cine(pictures()), tmp_path / "a.dcm")
    with pytest.raises(InputError, match=r"a\.dcm: it holds 6 frames; `frames=all` or `frames=1-5`"):
        result(path, tmp_path / "out", None)
    with pytest.raises(InputError, match="holds 6 frames, and one picture is expected here"):
        image_io.read_as_shown(path)


def test_the_command_line_names_its_own_option(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from typer.testing import CliRunner

    from medsr.cli.app import app

    path = saved(cine(pictures()), tmp_path / "a.dcm")
    arguments = ["upscale", str(path), "--out", str(tmp_path / "out"), "--model", "bicubic"]
    refused = CliRunner().invoke(app, arguments)
    assert refused.exit_code == 3
    assert "--frames all or --frames 1-5" in refused.output
    assert CliRunner().invoke(app, [*arguments, "--frames", "2"]).exit_code == 0


@pytest.mark.parametrize("frames", ["", "0", "2-1", "a", "1,,2", "-3", "1-", "all,1", "²"])
def test_what_is_not_a_choice_is_refused_before_the_work(tmp_path: Path, frames: str) -> None:
    path = saved(cine(pictures()), tmp_path / "a.dcm")
    with pytest.raises(UsageError, match="frames="):
        medsr.upscale(path, tmp_path / "out", model="bicubic", frames=frames)


def test_frames_beyond_the_last_are_refused(tmp_path: Path) -> None:
    path = saved(cine(pictures()), tmp_path / "a.dcm")
    with pytest.raises(UsageError, match="holds 6 frames, frame 999999999 is not among them"):
        result(path, tmp_path / "out", "5-999999999")
    single = Path(str(get_testdata_file("CT_small.dcm")))
    with pytest.raises(UsageError, match="holds 1 frame, frame 2 is not among them"):
        result(single, tmp_path / "out", "2")
    assert result(single, tmp_path / "out", "all").get("NumberOfFrames") is None


def test_one_choice_has_one_way_of_writing() -> None:
    assert canonical(" 3,1-2, 7 ,6") == "1-3,6-7"
    assert canonical("ALL") == "all"
    assert numbers("4,1-2", 5, "a.dcm") == (1, 2, 4)


@pytest.mark.parametrize(
    ("frames", "time", "vector"),
    [("2-4", 40, None), ("1,3,5", 80, None), ("1,2,5", None, [0, 40, 120]), ("3", 40, None)],
)
def test_frame_times_stay_true(tmp_path: Path, frames: str, time: float | None, vector: list[float] | None) -> None:
    dataset = cine(pictures(), CineRate=25, EffectiveDuration=0.24, RepresentativeFrameNumber=5)
    back = result(saved(dataset, tmp_path / "a.dcm"), tmp_path / "out", frames)
    assert back.get("FrameTime") == time
    assert (list(back.FrameTimeVector) if vector else back.get("FrameTimeVector")) == vector
    pointer = 0x00181065 if vector else 0x00181063
    assert back.FrameIncrementPointer == pointer
    assert ("CineRate" in back) == (frames in ("2-4", "3"))
    assert "EffectiveDuration" not in back
    assert back.get("RepresentativeFrameNumber") == (3 if "5" in frames else None)
    assert list(np.atleast_1d(back.SourceImageSequence[0].ReferencedFrameNumber)) == [
        int(n) + 0 for n in (frames.split(",") if "-" not in frames else "234")
    ]


def test_vectors_keep_the_values_of_the_chosen_frames(tmp_path: Path) -> None:
    dataset = cine(pictures(), FrameTimeVector=[0, 10, 20, 30, 40, 50], FrameLabelVector=list("abcdef"))
    del dataset.FrameTime
    dataset.FrameIncrementPointer = [0x00181065, 0x00182002]
    dataset.SliceLocationVector = [1, 2]  # not one a frame
    path = saved(dataset, tmp_path / "a.dcm")
    back = result(path, tmp_path / "out", "2,5-6")
    assert list(back.FrameTimeVector) == [0, 90, 50]
    assert list(back.FrameLabelVector) == ["b", "e", "f"]
    assert list(back.FrameIncrementPointer) == [0x00181065, 0x00182002]
    assert "SliceLocationVector" not in back
    whole = result(path, tmp_path / "out", "all")
    assert list(whole.FrameTimeVector) == [0, 10, 20, 30, 40, 50]


def test_functional_groups_are_those_of_the_chosen_frames_and_scaled(tmp_path: Path) -> None:
    back = result(saved(tomography(pictures()), tmp_path / "a.dcm"), tmp_path / "out", "2,4,6", 2)
    groups = back.PerFrameFunctionalGroupsSequence
    assert [round(float(group.PlanePositionSequence[0].ImagePositionPatient[1]), 6) for group in groups] == [
        0.1,
        0.3,
        0.5,
    ]
    # Half a new pixel in from the old corner: along the columns, and down the rows.
    assert list(groups[0].PlanePositionSequence[0].ImagePositionPatient)[::2] == pytest.approx([-0.0025, 0.001])
    assert [list(group.FrameContentSequence[0].DimensionIndexValues) for group in groups] == [[1, 1], [1, 2], [1, 3]]
    measures = back.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0]
    assert list(measures.PixelSpacing) == [0.002, 0.005]
    assert (measures.SpacingBetweenSlices, measures.SliceThickness) == (pytest.approx(0.2), 0.1)


def test_frames_share_one_depth(tmp_path: Path) -> None:
    pixels = pictures(2, dtype=np.uint16)
    pixels[1] *= 16
    path = saved(cine(pixels, MultiFrameGrayscaleWordSecondaryCaptureImageStorage), tmp_path / "a.dcm")
    content = image_io.read_frames(path, "all")
    assert [image.window.high for image in content] == [65535, 65535]  # type: ignore[union-attr]
    assert list(image_io.decide_depth([path], "all").values()) == [16]
    assert list(image_io.decide_depth([path], "1").values()) == [12]


@pytest.mark.parametrize("damage", ["groups", "pixels", "none", "steps", "nuclear"])
def test_what_would_come_out_wrong_is_refused(tmp_path: Path, damage: str) -> None:
    dataset = tomography(pictures()) if damage == "groups" else cine(pictures())
    if damage == "groups":
        dataset.PerFrameFunctionalGroupsSequence.pop()
    elif damage == "pixels":
        dataset.PixelData = dataset.PixelData[: -2 * 21 * 27]
    elif damage == "none":
        dataset.compress(RLELossless, encoding_plugin="pydicom")
        dataset.NumberOfFrames = COUNT + 1
    elif damage == "steps":
        dataset.PositionerPrimaryAngleIncrement = [0, 1, 2, 3, 4, 5]
    else:
        dataset.Modality = "NM"
    path = saved(dataset, tmp_path / "a.dcm")
    with pytest.raises(MedsrError) as refused:
        result(path, tmp_path / "out", "1-2")
    assert refused.value.exit_code == (2 if damage in ("steps", "nuclear") else 3)
    assert not (tmp_path / "out" / "a.dcm").exists()


def test_a_result_too_large_for_dicom_is_refused_before_the_work(tmp_path: Path) -> None:
    path = saved(cine(pictures()), tmp_path / "a.dcm")
    with pytest.raises(MedsrError, match="frames of 27000x21000"):
        image_io.check_result(path, image_io.Image(*_first(path)), (21000, 27000), 60)


def _first(path: Path) -> tuple:
    first = next(iter(image_io.read_frames(path, "all")))  # type: ignore[call-overload]
    return first.pixels, first.window, first.kind


def test_reproduce_and_skip_done_know_the_frames(tmp_path: Path) -> None:
    path = saved(cine(pictures()), tmp_path / "a.dcm")
    out = tmp_path / "out"
    result(path, out, "1, 3", 2)
    [compared] = medsr.reproduce(out / "upscale.json")
    assert compared.same
    [again] = medsr.upscale(path, out, model="bicubic", outscale=2, frames="1,3", skip_done=True)
    assert again.skipped
    [other] = medsr.upscale(path, out, model="bicubic", outscale=2, frames="1-3", skip_done=True)
    assert not other.skipped
    assert pydicom.dcmread(other.output).NumberOfFrames == 3


@pytest.mark.slow
def test_a_cohort_takes_the_frames(tmp_path: Path) -> None:
    pixels = pictures()
    saved(cine(pixels), tmp_path / "a.dcm")
    standing = medsr.cohort(
        "upscale", tmp_path / "a.dcm", out=tmp_path / "out", model="bicubic", outscale=1, frames="2-3"
    )
    assert len(standing.done) == 1
    np.testing.assert_array_equal(pydicom.dcmread(tmp_path / "out" / "a.dcm").pixel_array, pixels[1:3])


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="dciodvfy (Debian: dicom3tools) is not installed")
@pytest.mark.parametrize("frames", ["all", "2", "1,2", "1,2,5"])
@pytest.mark.parametrize("kind", ["us", "sc", "opt", "examples_ybr_color.dcm", "SC_rgb_rle_2frame.dcm"])
def test_a_result_has_no_more_errors_than_its_source(kind: str, frames: str, tmp_path: Path) -> None:
    if kind.endswith(".dcm"):
        path = Path(str(get_testdata_file(kind)))
        if frames == "1,2,5" and "2frame" in kind:
            return
    else:
        byte = MultiFrameGrayscaleByteSecondaryCaptureImageStorage
        output = {"us": cine, "sc": lambda pixels: cine(pixels, byte), "opt": tomography}[kind](pictures())
        path = saved(output, tmp_path / "a.dcm")
    result(path, tmp_path / "out", frames, 2)
    assert errors_of(tmp_path / "out" / path.name) - errors_of(path) == set()


def errors_of(path: Path) -> set[str]:
    lines = subprocess.run(["dciodvfy", str(path)], capture_output=True, text=True, errors="replace", check=False)
    return {line for line in (lines.stderr + lines.stdout).splitlines() if line.startswith("Error")}


@pytest.mark.parametrize("declared", [None, 1, 3])
@pytest.mark.parametrize("channels", [1, 3])
def test_more_pixels_than_the_declared_frames_are_refused(tmp_path: Path, declared: int | None, channels: int) -> None:
    dataset = cine(pictures(channels=channels), NumberOfFrames=declared)
    if declared is None:
        del dataset.NumberOfFrames
    path = saved(dataset, tmp_path / "a.dcm")
    with pytest.raises(InputError, match="its pixels are enough for 6"):
        result(path, tmp_path / "out", "all")


def test_colours_that_do_not_say_how_they_lie_are_one_pixel_after_the_other(tmp_path: Path) -> None:
    pixels = pictures(channels=3)
    dataset = cine(pixels)
    del dataset.PlanarConfiguration
    back = result(saved(dataset, tmp_path / "a.dcm"), tmp_path / "out", "all")
    np.testing.assert_array_equal(back.pixel_array, pixels)


def test_a_palette_gives_all_frames_one_depth(tmp_path: Path) -> None:
    pixels = np.stack([np.zeros((8, 8), np.uint8), np.arange(64, dtype=np.uint8).reshape(8, 8)])
    dataset = cine(pixels, PhotometricInterpretation="PALETTE COLOR")
    table = np.arange(256, dtype="<u2") * 250  # the first entry alone would pass for 8 bits
    for colour in ("Red", "Green", "Blue"):
        setattr(dataset, f"{colour}PaletteColorLookupTableDescriptor", [256, 0, 16])
        setattr(dataset, f"{colour}PaletteColorLookupTableData", table.tobytes())
    back = result(saved(dataset, tmp_path / "a.dcm"), tmp_path / "out", "all")
    np.testing.assert_array_equal(back.pixel_array, table[pixels][..., None].repeat(3, axis=-1))


def test_jpeg_frames_are_those_pydicom_finds(tmp_path: Path) -> None:
    path = Path(str(get_testdata_file("examples_ybr_color.dcm")))
    source = pydicom.dcmread(path)
    assert source.file_meta.TransferSyntaxUID in (JPEGBaseline8Bit, RLELossless)
    back = result(path, tmp_path / "out", "29-30")
    np.testing.assert_array_equal(back.pixel_array, source.pixel_array[28:])
