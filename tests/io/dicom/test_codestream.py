"""Compressed pictures of another size, depth or sign than their DICOM header says are refused."""

from __future__ import annotations

import imagecodecs
import numpy as np
import pydicom
import pytest
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate, generate_frames

from medsr.core.errors import InputError
from medsr.io.dicom.pixels import decode
from tests.helpers.codestreams import PIXELS, SYNTAXES, compressed

CODECS = list(SYNTAXES)


def _frame(dataset: Dataset) -> bytes:
    return next(generate_frames(dataset.PixelData, number_of_frames=1))


@pytest.mark.parametrize("codec", CODECS)
def test_sizes_must_agree(codec: str) -> None:
    assert np.array_equal(decode(compressed(codec), "a.dcm"), PIXELS)
    for tag, value in (("Columns", 32), ("Rows", 24), ("Columns", 128), ("SamplesPerPixel", 3)):
        dataset = compressed(codec)
        setattr(dataset, tag, value)
        with pytest.raises(InputError, match=r"^a\.dcm: damaged: its compressed picture is 64x48"):
            decode(dataset, "a.dcm")


@pytest.mark.parametrize("codec", ["j2k", "jls", "ljpeg"])
@pytest.mark.parametrize("dtype", [np.uint16, np.int16])
def test_more_bits_than_the_header_says_are_usual_and_their_values_must_fit(codec: str, dtype: type) -> None:
    lowest = -2048 if dtype is np.int16 else 0
    pixels = np.random.default_rng(1).integers(lowest, lowest + 4096, (48, 64)).astype(dtype)
    dataset = compressed(codec, pixels, 16)
    dataset.BitsStored, dataset.HighBit = 12, 11
    assert np.array_equal(decode(dataset, "a.dcm"), pixels)
    dataset.BitsStored, dataset.HighBit = 11, 10
    with pytest.raises(InputError, match=r"compressed values of 16 bits, .* do not fit the 11 bits"):
        decode(dataset, "a.dcm")


def test_fewer_bits_are_taken_where_values_are_the_same() -> None:
    pixels = np.random.default_rng(2).integers(0, 4096, (48, 64)).astype(np.uint16)
    for codec in ("j2k", "ljpeg"):
        dataset = compressed(codec, pixels, 12)
        dataset.BitsStored, dataset.HighBit = 16, 15
        assert np.array_equal(decode(dataset, "a.dcm"), pixels)
    dataset.PixelRepresentation = 1  # where the sign would be, readers do not agree
    with pytest.raises(InputError, match="has 12 bits, its header says 16 of 16"):
        decode(dataset, "a.dcm")


@pytest.mark.parametrize("codec", CODECS)
def test_bytes_of_a_value_must_agree(codec: str) -> None:
    dataset = compressed(codec)
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, 12, 11
    with pytest.raises(InputError, match="has 8 bits, its header says 12 of 16"):
        decode(dataset, "a.dcm")


def test_signed_values_of_jpeg_2000_are_not_taken_as_unsigned() -> None:
    dataset = compressed("j2k", np.full((48, 64), -5, np.int16), 16)
    assert np.all(decode(dataset, "a.dcm") == -5)
    dataset.PixelRepresentation = 0
    with pytest.raises(InputError, match="values are signed"):
        decode(dataset, "a.dcm")


@pytest.mark.parametrize("codec", ["j2k", "jls", "ljpeg"])
def test_markers_are_walked_and_not_searched(codec: str) -> None:
    """What a comment or a box holds is not a header."""
    dataset = compressed(codec)
    if codec == "j2k":
        frame = bytes(imagecodecs.jpeg2k_encode(PIXELS, codecformat="jp2", level=0, reversible=True))
        region = frame.index(b"jp2c") - 4
        frame = frame[:region] + b"\0\0\0\x38uuid\xff\x4f\xff\x51" + bytes(44) + frame[region:]
    else:
        fake = b"\xff\xf7\0\x0b\x08\0\x01\0\x01\x01" + b"\xff\xc3\0\x0b\x08\0\x01\0\x01\x01"
        frame = _frame(dataset)
        frame = frame[:2] + b"\xff\xfe" + (len(fake) + 2).to_bytes(2, "big") + fake + frame[2:]
    dataset.PixelData = encapsulate([frame])
    assert np.array_equal(decode(dataset, "a.dcm"), PIXELS)


@pytest.mark.parametrize("codec", ["jls", "ljpeg"])
def test_a_sign_below_bits_that_are_not_used_counts(codec: str) -> None:
    pixels = np.random.default_rng(3).integers(-2048, 2048, (48, 64)).astype(np.int16)
    dataset = compressed(codec, pixels.view(np.uint16) & 4095, 16)
    dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 12, 11, 1
    assert np.array_equal(decode(dataset, "a.dcm"), pixels)


def test_a_header_that_lies_is_refused_before_memory_is_taken() -> None:
    dataset = compressed("j2k")
    frame = bytearray(_frame(dataset))
    for region in (8, 12, 24, 28):  # of the picture and of its tile
        frame[region : region + 4] = (20000).to_bytes(4, "big")
    dataset.Rows = dataset.Columns = 20000
    dataset.PixelData = encapsulate([bytes(frame)])
    with pytest.raises(InputError, match="cannot hold the 400000000 samples they claim"):
        decode(dataset, "a.dcm")


def test_frames_are_as_many_as_the_header_says() -> None:
    dataset = compressed("jls")
    frame = _frame(dataset)
    dataset.PixelData = encapsulate([frame] * 3)
    dataset.NumberOfFrames = 3
    assert np.array_equal(decode(dataset, "a.dcm"), np.stack([PIXELS] * 3))
    assert np.array_equal(decode(dataset, "a.dcm", 2), PIXELS)
    for count in (2, 4):
        dataset.NumberOfFrames = count
        with pytest.raises(InputError, match=r"^a\.dcm: "):
            decode(dataset, "a.dcm")


@pytest.mark.parametrize(
    "name",
    [
        "693_J2KI.dcm",
        "GDCMJ2K_TextGBR.dcm",
        "J2K_pixelrep_mismatch.dcm",
        "JPEG2000.dcm",
        "MR_small_jpeg_ls_lossless.dcm",
        "SC_rgb_gdcm_KY.dcm",
        "SC_rgb_jls_lossy_sample.dcm",
        "SC_rgb_jpeg_gdcm.dcm",
        "SC_rgb_dcmtk_+eb+cy+np.dcm",
        "SC_rgb_rle_16bit_2frame.dcm",
    ],
)
def test_what_pydicom_reads_comes_out_as_pydicom_reads_it(name: str) -> None:
    try:
        path = get_testdata_file(name, download=False)
    except FileNotFoundError:
        path = None
    if path is None:
        pytest.skip("not among the files that pydicom installs")
    expected = pydicom.dcmread(path).pixel_array
    pixels = decode(pydicom.dcmread(path), name)
    assert pixels.dtype == expected.dtype
    assert np.array_equal(pixels, expected)
