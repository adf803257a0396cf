"""JPEG streams with holes, in files, TIFFs and DICOMs: refused, where decoders paint grey and go on."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image as Pillow

from medsr.core.errors import InputError
from medsr.io.images import image as image_io
from medsr.io.images import jpeg
from medsr.io.volumes import volume as volume_io

END = b"\xff\xd9"


def _picture(mode: str = "RGB", size: int = 128) -> Pillow.Image:
    from skimage.data import retina

    return Pillow.fromarray(retina()[400 : 400 + size, 500 : 500 + size]).convert(mode)


def _stream(mode: str = "RGB", **options: object) -> bytes:
    stream = io.BytesIO()
    _picture(mode).save(stream, "JPEG", quality=90, **options)
    return stream.getvalue()


def _hole(content: bytes) -> bytes:
    """The second half is gone, the end is there: what a copy that was patched together looks like."""
    return content[: len(content) // 2] + END


def _zeros(content: bytes) -> bytes:
    half = len(content) // 2
    return content[:half] + bytes(256) + content[half + 256 :]


@pytest.mark.parametrize("mode", ["L", "RGB"])
@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"subsampling": 2}, {"subsampling": 0}])
def test_the_pixels_are_those_pillow_reads(mode: str, options: dict[str, object]) -> None:
    content = _stream(mode, **options)
    samples = jpeg.decode(content, "x")
    with Pillow.open(io.BytesIO(content)) as file:
        np.testing.assert_array_equal(samples.squeeze(), np.asarray(file))


@pytest.mark.parametrize("damage", [_hole, _zeros])
@pytest.mark.parametrize("options", [{}, {"progressive": True}])
def test_a_jpeg_with_a_hole_is_refused(
    tmp_path: Path, damage: Callable[[bytes], bytes], options: dict[str, object]
) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(damage(_stream(**options)))
    with Pillow.open(path) as file:
        assert np.asarray(file).shape == (128, 128, 3)  # what others make of it
    with pytest.raises(InputError, match=r"a\.jpg: damaged: its JPEG data do not make a whole picture"):
        image_io.read(path)


def test_a_jpeg_without_some_of_its_bytes_is_refused() -> None:
    """All but 1 of 10,000: what is left may by chance be the code of as many blocks as there should be."""
    content, rng = _stream(), np.random.default_rng(0)
    first = content.index(b"\xff\xda") + 20
    for _ in range(200):
        length = int(rng.integers(64, 2000))
        at = int(rng.integers(first, len(content) - length - 2))
        with pytest.raises(InputError, match="damaged"):
            jpeg.decode(content[:at] + content[at + length :], "x")


@pytest.mark.parametrize("left", [3, 500])
def test_a_jpeg_with_data_left_over_is_refused(left: int) -> None:
    """What a changed bit leaves, and what some cameras do: nobody can tell which."""
    with pytest.raises(InputError, match=r"extraneous bytes before marker 0xd9.*save it anew"):
        jpeg.decode(_stream()[:-2] + bytes(left) + END, "x")


def test_a_wrong_scan_header_hides_no_hole() -> None:
    """The decoder tells its first warning alone."""
    content = bytearray(_stream())
    content[content.index(b"\xff\xda") + 12] = 0  # the last coefficient of a sequential scan is the 63rd
    with pytest.raises(InputError, match="Invalid SOS parameters"):
        jpeg.decode(_zeros(bytes(content)), "x")


def test_what_follows_the_picture_is_not_its_own(tmp_path: Path) -> None:
    content, path = _stream(), tmp_path / "a.jpg"
    path.write_bytes(content + b"a second picture, or a maker's own notes")
    np.testing.assert_array_equal(image_io.read(path).pixels, jpeg.decode(content, "x"))


def test_a_jpeg_cannot_claim_more_than_it_holds() -> None:
    flat = io.BytesIO()
    Pillow.new("L", (4096, 4096), 128).save(flat, "JPEG", optimize=True, progressive=True)
    samples = jpeg.decode(flat.getvalue(), "x")  # the smallest there is
    assert samples.shape == (4096, 4096, 1)
    content = bytearray(_stream())
    struct.pack_into(">HH", content, content.index(b"\xff\xc0") + 5, 13000, 13000)
    with pytest.raises(InputError, match="cannot hold the 13000x13000 pixels"):
        jpeg.decode(bytes(content), "x")


def test_a_jpeg_within_a_tiff(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    _picture("L").save(path, compression="jpeg")  # its tables stand apart, in a tag
    assert image_io.read(path).pixels.shape == (128, 128, 1)
    with tifffile.TiffFile(path) as tiff:
        page = tiff.pages[0]
        assert page.jpegtables
        at, length = page.dataoffsets[-1], page.databytecounts[-1]
    content = bytearray(path.read_bytes())
    content[at + length // 2 : at + length - 2] = bytes(length - 2 - length // 2)
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"a\.tif: damaged: its JPEG data do not make a whole picture"):
        image_io.read(path)


@pytest.mark.parametrize("name", ["StripByteCounts", "StripOffsets"])
def test_an_empty_piece_of_a_tiff_is_no_picture_of_zeros(tmp_path: Path, name: str) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, np.full((64, 64), 200, np.uint8), rowsperstrip=16, metadata=None)
    with tifffile.TiffFile(path) as tiff:
        tag = tiff.pages[0].tags[name]
        at, width = tag.valueoffset, 2 if tag.dtype == 3 else 4
    content = bytearray(path.read_bytes())
    content[at + width : at + 2 * width] = bytes(width)
    path.write_bytes(content)
    with pytest.raises(InputError, match="1 of its pieces are empty"):
        image_io.read(path)


@pytest.mark.parametrize("damage", [None, _hole, _zeros])
def test_a_jpeg_within_a_dicom(tmp_path: Path, damage: Callable[[bytes], bytes] | None) -> None:
    path = tmp_path / "a.dcm"
    _dicom(path, damage(_stream("L")) if damage else _stream("L"))
    if damage is None:
        with Pillow.open(io.BytesIO(_stream("L"))) as file:
            np.testing.assert_array_equal(image_io.read(path).pixels[:, :, 0], np.asarray(file))
        return
    with pytest.raises(InputError, match="its JPEG data do not make a whole picture"):
        image_io.read(path)
    series = tmp_path / "series"
    series.mkdir()
    for k in range(4):
        _dicom(series / f"{k}.dcm", _stream("L") if k != 2 else damage(_stream("L")), k)
    with pytest.raises(InputError, match=r"2\.dcm: damaged: its JPEG data do not make a whole picture"):
        volume_io.read(series)


def _dicom(path: Path, stream: bytes, slice_number: int = 0) -> None:
    import pydicom
    from pydicom.data import get_testdata_file
    from pydicom.encaps import encapsulate
    from pydicom.uid import JPEGBaseline8Bit, generate_uid

    dataset = pydicom.dcmread(get_testdata_file("MR_small.dcm"))
    dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = generate_uid(entropy_srcs=[path.name])
    dataset.InstanceNumber = slice_number
    dataset.ImagePositionPatient = [0, 0, slice_number]
    dataset.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    for keyword in ("SmallestImagePixelValue", "LargestImagePixelValue", "PixelPaddingValue"):
        if keyword in dataset:
            del dataset[keyword]
    dataset.Rows = dataset.Columns = 128
    dataset.BitsAllocated = dataset.BitsStored = 8
    dataset.HighBit, dataset.PixelRepresentation = 7, 0
    dataset.PixelData = encapsulate([stream])
    dataset["PixelData"].VR = "OB"
    dataset["PixelData"].is_undefined_length = True
    dataset.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
    dataset.save_as(path)
