"""Colour DICOM: read as the colours that were stored, written as RGB, with what the header says in pixels."""

from __future__ import annotations

import io
import shutil
import subprocess
import warnings
from pathlib import Path

import numpy as np
import pydicom
import pytest
from PIL import Image as Pillow
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEGBaseline8Bit,
    OphthalmicPhotography8BitImageStorage,
    RLELossless,
    UltrasoundImageStorage,
    generate_uid,
)

from medsr.core.errors import InputError
from medsr.io.images import image as image_io
from medsr.networks.bundled import FUNDUS, for_image, model_for

BUNDLED = (
    "ExplVR_BigEnd.dcm",
    "GDCMJ2K_TextGBR.dcm",
    "SC_rgb_dcmtk_+eb+cr.dcm",
    "SC_rgb_dcmtk_+eb+cy+np.dcm",
    "SC_rgb_jls_lossy_line.dcm",
    "SC_rgb_jpeg_dcmtk.dcm",
    "SC_rgb_jpeg_gdcm.dcm",
    "SC_rgb_jpeg_dcmd.dcm",
    "SC_rgb_rle.dcm",
    "SC_rgb_small_odd.dcm",
    "SC_ybr_full_422_uncompressed.dcm",
    "examples_palette.dcm",
)
"""What comes with pydicom, of every kind of colour and compression."""


def fundus(height: int = 96, width: int = 112) -> np.ndarray:
    y, x = np.mgrid[:height, :width]
    inside = np.hypot(y - height / 2, x - width / 2) < min(height, width) * 0.45
    texture = 0.5 + 0.3 * np.sin(x / 5) * np.cos(y / 7)
    return np.clip(np.stack([200 * texture, 110 * texture, 50 * texture], -1) * inside[..., None], 0, 255).astype("u1")


def colour_dicom(pixels: np.ndarray, photometric: str = "RGB", planar: int = 0) -> Dataset:
    """An ophthalmic photograph with a profile."""
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = OphthalmicPhotography8BitImageStorage
    dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = generate_uid(), generate_uid()
    dataset.Modality, dataset.ImageType = "OP", ["ORIGINAL", "PRIMARY", "", "COLOR"]
    dataset.Rows, dataset.Columns = pixels.shape[:2]
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 3, photometric
    bits = pixels.dtype.itemsize * 8
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = bits, bits, bits - 1, 0
    dataset.PlanarConfiguration, dataset.ICCProfile = planar, b"a profile of the camera "
    stored = np.moveaxis(pixels, -1, 0) if planar else pixels
    dataset.PixelData = stored.tobytes()
    dataset["PixelData"].VR = "OW" if bits == 16 else "OB"
    return dataset


def saved(dataset: Dataset, path: Path) -> Path:
    dataset.save_as(path, enforce_file_format=True)
    return path


def doubled(path: Path, target: Path) -> pydicom.Dataset:
    """Read, every pixel made four, written, read by pydicom."""
    image = image_io.read(path)
    image_io.write(target, image_io.upsampled(image, image.to_unit().repeat(2, axis=0).repeat(2, axis=1)))
    return pydicom.dcmread(target)


@pytest.mark.parametrize("name", BUNDLED)
def test_colours_are_those_other_readers_find(name: str, tmp_path: Path) -> None:
    import SimpleITK as sitk

    path = Path(str(get_testdata_file(name)))
    image = image_io.read(path)
    np.testing.assert_array_equal(image.pixels, sitk.GetArrayFromImage(sitk.ReadImage(str(path))).squeeze())
    image_io.write(tmp_path / "out.dcm", image)
    back = pydicom.dcmread(tmp_path / "out.dcm")
    assert (back.PhotometricInterpretation, back.PlanarConfiguration, back.SamplesPerPixel) == ("RGB", 0, 3)
    np.testing.assert_array_equal(back.pixel_array, image.pixels)


@pytest.mark.parametrize("planar", [0, 1])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_planes_and_depths_come_back(tmp_path: Path, planar: int, dtype: type) -> None:
    pixels = (fundus().astype(dtype) * (257 if dtype is np.uint16 else 1)).astype(dtype)
    back = doubled(saved(colour_dicom(pixels, planar=planar), tmp_path / "a.dcm"), tmp_path / "b.dcm")
    np.testing.assert_array_equal(back.pixel_array[::2, ::2], pixels)
    assert back.ICCProfile == b"a profile of the camera "
    assert list(back.ImageType) == [
        "DERIVED",
        "PRIMARY",
        "RESAMPLED",
        "COLOR",
    ]  # PRIMARY by C.8.17.2
    assert back.SourceImageSequence[0].PurposeOfReferenceCodeSequence[0].CodeValue == "121322"


def test_ybr_comes_out_as_the_colours_it_was_made_of(tmp_path: Path) -> None:
    from pydicom.pixels import convert_color_space

    stored = convert_color_space(fundus(), "RGB", "YBR_FULL")
    dataset = colour_dicom(stored, "YBR_FULL")
    dataset.compress(RLELossless)
    back = doubled(saved(dataset, tmp_path / "a.dcm"), tmp_path / "b.dcm")
    assert back.PhotometricInterpretation == "RGB"
    assert np.abs(back.pixel_array[::2, ::2].astype(int) - fundus()).max() <= 2


def test_the_bundled_fundus_model_is_chosen_for_an_ophthalmic_photograph(tmp_path: Path) -> None:
    chosen = for_image(image_io.read(saved(colour_dicom(fundus()), tmp_path / "a.dcm")), 2)
    assert (chosen.model, chosen.guessed) == (model_for(FUNDUS, 2), False)
    dataset = colour_dicom(np.full((40, 40, 3), (200, 180, 160), np.uint8))
    assert for_image(image_io.read(saved(dataset, tmp_path / "b.dcm")), 2).guessed
    device = Dataset()
    device.CodeMeaning = "Slit Lamp Biomicroscope"
    dataset.AcquisitionDeviceTypeCodeSequence = [device]
    assert for_image(image_io.read(saved(dataset, tmp_path / "c.dcm")), 2).model == "bicubic"


def test_samples_that_disagree_with_the_photometric_interpretation_are_refused(tmp_path: Path) -> None:
    path = saved(colour_dicom(fundus(), "MONOCHROME2"), tmp_path / "a.dcm")
    with pytest.raises(InputError, match="MONOCHROME2 has 1 sample"):
        image_io.read(path)


@pytest.mark.parametrize("entry_bits", [8, 16])
@pytest.mark.parametrize("factor", [1, 256, 257, 251])
def test_palettes_of_every_form_give_their_colours(tmp_path: Path, entry_bits: int, factor: int) -> None:
    index = (np.arange(96 * 112).reshape(96, 112) % 256).astype(np.uint8)
    dataset = colour_dicom(fundus(), "PALETTE COLOR")
    dataset.SamplesPerPixel, dataset.PixelData = 1, index.tobytes()
    del dataset.PlanarConfiguration
    expected = []
    for step, colour in enumerate(("Red", "Green", "Blue"), 1):
        table = (np.arange(256) * step) % 256 * (1 if entry_bits == 8 else factor)
        setattr(dataset, f"{colour}PaletteColorLookupTableDescriptor", [256, 0, entry_bits])
        setattr(dataset, f"{colour}PaletteColorLookupTableData", table.astype("<u2" if factor > 1 else "u1").tobytes())
        if entry_bits == 16 and factor == 1:
            setattr(dataset, f"{colour}PaletteColorLookupTableData", table.astype("<u2").tobytes())
        expected.append(table[index] // (factor if entry_bits == 16 and factor > 251 else 1))
    path = saved(dataset, tmp_path / "a.dcm")
    image = image_io.read(path)
    assert image.pixels.dtype == (np.uint16 if (entry_bits, factor) == (16, 251) else np.uint8)
    np.testing.assert_array_equal(image.pixels, np.stack(expected, axis=-1))
    back = doubled(path, tmp_path / "b.dcm")
    assert "RedPaletteColorLookupTableData" not in back
    assert f"{back.BitsStored} Bit" in back.SOPClassUID.name


def test_colour_headers_that_contradict_their_compression_are_refused_or_settled(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="YBR_RCT belongs to JPEG 2000"):
        image_io.read(saved(colour_dicom(fundus(), "YBR_RCT"), tmp_path / "a.dcm"))
    dataset = colour_dicom(fundus())
    dataset.compress(RLELossless)
    del dataset.PlanarConfiguration
    np.testing.assert_array_equal(image_io.read(saved(dataset, tmp_path / "b.dcm")).pixels, fundus())


def test_colour_frames_are_refused_as_pictures_not_as_a_scan() -> None:
    from medsr.io.file_type import content_of

    path = Path(str(get_testdata_file("SC_rgb_rle_2frame.dcm")))
    assert content_of(path).kind == "image"
    with pytest.raises(InputError, match="2 frames"):
        image_io.read(path)


@pytest.mark.parametrize(("shapes", "rest"), [(["RECTANGULAR", "BITMAP"], "RECTANGULAR"), ("BITMAP", None)])
def test_a_shutter_drawn_as_an_overlay_goes_with_it(tmp_path: Path, shapes: object, rest: str | None) -> None:
    dataset = colour_dicom(fundus())
    dataset.ShutterShape, dataset.ShutterOverlayGroup = shapes, 0x6000
    back = doubled(saved(dataset, tmp_path / "a.dcm"), tmp_path / "b.dcm")
    assert back.get("ShutterShape") == rest
    assert "ShutterOverlayGroup" not in back


def test_a_radiotherapy_image_keeps_its_place(tmp_path: Path) -> None:
    dataset = colour_dicom(fundus())
    dataset.ImagePlanePixelSpacing, dataset.RTImagePosition = [0.5, 1], [-10, 20]
    back = doubled(saved(dataset, tmp_path / "a.dcm"), tmp_path / "b.dcm")
    assert list(back.RTImagePosition) == [-10.25, 20.125]


def test_lossy_compression_stays_declared(tmp_path: Path) -> None:
    path = Path(str(get_testdata_file("SC_rgb_jpeg_dcmtk.dcm")))
    dataset = pydicom.dcmread(path)
    for keyword in ("LossyImageCompression", "LossyImageCompressionMethod"):
        if keyword in dataset:
            del dataset[keyword]
    back = doubled(saved(dataset, tmp_path / "a.dcm"), tmp_path / "b.dcm")
    assert (back.LossyImageCompression, back.LossyImageCompressionMethod) == ("01", "ISO_10918_1")


def test_colour_dicom_becomes_png_with_its_profile(tmp_path: Path) -> None:
    from PIL import Image as Pillow

    image_io.write(tmp_path / "a.png", image_io.read(saved(colour_dicom(fundus()), tmp_path / "a.dcm")))
    with Pillow.open(tmp_path / "a.png") as file:
        np.testing.assert_array_equal(np.asarray(file), fundus())
        assert file.info["icc_profile"] == b"a profile of the camera "


def item(**tags: object) -> Dataset:
    dataset = Dataset()
    for keyword, value in tags.items():
        setattr(dataset, keyword, value)
    return dataset


def test_what_is_said_in_pixels_is_scaled_wherever_it_stands(tmp_path: Path) -> None:
    dataset = colour_dicom(fundus())
    dataset.SOPClassUID, dataset.Modality = UltrasoundImageStorage, "US"
    dataset.ShutterShape, dataset.CenterOfCircularShutter, dataset.RadiusOfCircularShutter = "CIRCULAR", [48, 56], 40
    dataset.ShutterLeftVerticalEdge, dataset.ShutterRightVerticalEdge = 1, 112
    dataset.VerticesOfThePolygonalShutter = [10, 20, 30, 40]
    region = item(RegionLocationMinX0=10, RegionLocationMaxX1=99, PhysicalDeltaX=0.02, ReferencePixelX0=5)
    region.ReferencePixelPhysicalValueX = 1.0
    dataset.SequenceOfUltrasoundRegions = [region]
    plane = item(PixelSpacing=[0.5, 1.0])
    dataset.SharedFunctionalGroupsSequence = [
        item(
            PixelMeasuresSequence=[plane],
            PlaneOrientationSequence=[item(ImageOrientationPatient=[1, 0, 0, 0, 1, 0])],
            PlanePositionSequence=[item(ImagePositionPatient=[10, 20, 30])],
        )
    ]
    dataset.SourceImageSequence = [item(PixelSpacing=[3, 3])]
    dataset.DetectorElementSpacing = [0.1, 0.1]
    back = doubled(saved(dataset, tmp_path / "a.dcm"), tmp_path / "b.dcm")
    assert (list(back.CenterOfCircularShutter), back.RadiusOfCircularShutter) == ([96, 112], 80)
    assert (back.ShutterLeftVerticalEdge, back.ShutterRightVerticalEdge) == (1, 224)
    assert list(back.VerticesOfThePolygonalShutter) == [20, 40, 60, 80]
    after = back.SequenceOfUltrasoundRegions[0]
    assert (after.RegionLocationMinX0, after.RegionLocationMaxX1, after.PhysicalDeltaX) == (20, 199, 0.01)
    # Whatever lay at a place in centimetres lies there still: the first pixel's left edge.
    for one, zero in ((region, -0.5), (after, -0.5)):
        edge = one.ReferencePixelPhysicalValueX + (zero - one.ReferencePixelX0) * one.PhysicalDeltaX
        assert edge == pytest.approx(1.0 - 5.5 * 0.02)
    group = back.SharedFunctionalGroupsSequence[0]
    assert list(group.PixelMeasuresSequence[0].PixelSpacing) == [0.25, 0.5]
    assert list(group.PlanePositionSequence[0].ImagePositionPatient) == [9.75, 19.875, 30]
    assert list(back.DetectorElementSpacing) == [0.1, 0.1]


@pytest.mark.parametrize(
    "tags",
    [
        {"PixelSpacing": 0.2},
        {"PixelSpacing": [0.2, 0, 0.2]},
        {"PixelSpacing": [0, 0.2]},
        {"ImageType": "ORIGINAL"},
        {"ImageType": None},
        {"SeriesNumber": 2147483600},
        {"SeriesNumber": None},
        {"PixelAspectRatio": [1, 0]},
        {"ShutterLeftVerticalEdge": [1, 2]},
    ],
)
def test_headers_that_are_not_as_dicom_defines_them_are_written_within_its_limits(
    tmp_path: Path, tags: dict[str, object]
) -> None:
    dataset = colour_dicom(fundus())
    for keyword, value in tags.items():
        setattr(dataset, keyword, value)
    path = saved(dataset, tmp_path / "a.dcm")
    back = doubled(path, tmp_path / "b.dcm")
    assert list(back.ImageType)[:2] == ["DERIVED", "SECONDARY" if "ImageType" in tags else "PRIMARY"]
    assert -(2**31) <= int(back.SeriesNumber) < 2**31
    if "PixelSpacing" in tags:
        assert "PixelSpacing" not in back
        assert "PixelSpacing" in image_io.read(path).note


def test_overlays_curves_and_private_elements_are_left_out_with_a_word(tmp_path: Path) -> None:
    dataset = colour_dicom(fundus())
    dataset.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    dataset.add_new(0x50003000, "OW", b"\0\0" * 8)
    dataset.add_new(0x60000010, "US", 96)
    dataset.private_block(0x0019, "A VENDOR", create=True).add_new(1, "DS", "0.5")
    path = saved(dataset, tmp_path / "a.dcm")
    note = image_io.read(path).note
    assert all(words in note for words in ("overlays", "curves", "private elements"))
    back = doubled(path, tmp_path / "b.dcm")
    assert not [one for one in back if one.tag.group in (0x5000, 0x6000) or one.tag.is_private]


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="dciodvfy (Debian: dicom3tools) is not installed")
@pytest.mark.parametrize("name", [*BUNDLED, "CT_small.dcm", "MR_small.dcm", "MR_small_implicit.dcm", "JPEG2000.dcm"])
def test_a_result_has_no_more_errors_than_its_source(name: str, tmp_path: Path) -> None:
    path = Path(str(get_testdata_file(name)))
    doubled(path, tmp_path / "b.dcm")
    assert errors_of(tmp_path / "b.dcm") - errors_of(path) == set()


@pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="dciodvfy (Debian: dicom3tools) is not installed")
@pytest.mark.parametrize("lossy", [False, True])
def test_a_fundus_photograph_gains_no_errors(tmp_path: Path, lossy: bool) -> None:
    dataset = colour_dicom(fundus())
    if lossy:
        content = io.BytesIO()
        Pillow.fromarray(fundus()).save(content, "JPEG", quality=95)
        dataset.PhotometricInterpretation, dataset.PixelData = "YBR_FULL_422", encapsulate([content.getvalue()])
        dataset.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
    path = saved(dataset, tmp_path / "a.dcm")
    back = doubled(path, tmp_path / "b.dcm")
    assert errors_of(tmp_path / "b.dcm") - errors_of(path) == set()
    if lossy:
        ratio = fundus().size / len(dataset.PixelData)
        assert float(back.LossyImageCompressionRatio) == pytest.approx(ratio, rel=1e-3)


def errors_of(path: Path) -> set[str]:
    lines = subprocess.run(["dciodvfy", str(path)], capture_output=True, text=True, errors="replace", check=False)
    return {line for line in (lines.stderr + lines.stdout).splitlines() if line.startswith("Error")}


def test_reading_does_not_warn_of_our_own_lookups(tmp_path: Path) -> None:
    path = saved(colour_dicom(fundus()), tmp_path / "a.dcm")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        doubled(path, tmp_path / "b.dcm")
