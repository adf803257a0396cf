from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image as Pillow

from medsr.core.errors import InputError, UsageError
from medsr.io.images import image as image_io

RNG = np.random.default_rng(0)


def _pixels(dtype: type, channels: int, top: int | None = None) -> np.ndarray:
    top = top or np.iinfo(dtype).max
    pixels = RNG.integers(0, top, (17, 23, channels), dtype=dtype, endpoint=True)
    pixels[0, 0] = top
    return pixels


def _tiff(tags: dict[int, int], pixels: bytes, colours: bytes = b"") -> bytes:
    """A little-endian TIFF with exactly these tags; where its pixels and colours lie is filled in."""
    start = 8 + 2 + 12 * len(tags) + 4
    places = {273: start, 320: start + len(pixels)}
    entries = [
        struct.pack(
            "<HHII", tag, 3 if tag == 320 else 4, len(colours) // 2 if tag == 320 else 1, places.get(tag, value)
        )
        for tag, value in sorted(tags.items())
    ]
    return b"II*\0" + struct.pack("<IH", 8, len(tags)) + b"".join(entries) + bytes(4) + pixels + colours


@pytest.mark.parametrize("suffix", [".png", ".tif"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_lossless_formats_give_back_what_was_written(tmp_path: Path, suffix: str, dtype: type, channels: int) -> None:
    from medsr.core.intensity import Window
    from medsr.io.images.base import shape_pixels

    stored = _pixels(dtype, channels)
    pixels, alpha = shape_pixels(stored, tmp_path)
    bits = np.dtype(dtype).itemsize * 8
    image_io.write(tmp_path / f"a{suffix}", image_io.Image(pixels, Window.of_bits(bits), "", alpha))
    back = image_io.read(tmp_path / f"a{suffix}")
    np.testing.assert_array_equal(back.pixels, pixels)
    assert back.pixels.dtype == dtype
    assert (back.alpha is None) == (alpha is None)
    if alpha is not None:
        np.testing.assert_array_equal(back.alpha, alpha)


def test_other_programs_read_what_we_write(tmp_path: Path) -> None:
    import cv2

    from medsr.core.intensity import Window

    pixels = _pixels(np.uint16, 3)
    for suffix in (".png", ".tif"):
        path = tmp_path / f"a{suffix}"
        image_io.write(path, image_io.Image(pixels, Window.of_bits(16), ""))
        np.testing.assert_array_equal(cv2.imread(str(path), cv2.IMREAD_UNCHANGED)[:, :, ::-1], pixels)


def test_undeclared_12_bit_tiff_is_read_as_12_bit_and_says_so(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, _pixels(np.uint16, 1, 4000)[:, :, 0])
    image = image_io.read(path)
    assert (image.window.low, image.window.high) == (0, 4095)
    assert "12-bit" in image.note
    assert image_io.read(path, bits=16).window.high == 65535


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("bits", [9, 10, 12, 14, 15])
def test_packed_depths_of_a_tiff_are_read_and_written_as_such(tmp_path: Path, bits: int, channels: int) -> None:
    path, top = tmp_path / "a.tif", (1 << bits) - 1
    stored = _pixels(np.uint16, channels, top).squeeze()
    tifffile.imwrite(path, stored, bitspersample=bits, photometric="rgb" if channels == 3 else "minisblack")
    image = image_io.read(path)
    assert image.window.high == top
    assert not image.note
    np.testing.assert_array_equal(image.pixels.squeeze(), stored)
    image_io.write(tmp_path / "b.tif", image.with_unit(np.full((5, 7, channels), 1.2, np.float32)))
    with tifffile.TiffFile(tmp_path / "b.tif") as tiff:
        assert tiff.pages[0].bitspersample == bits
        assert tiff.pages[0].asarray().min() == top


@pytest.mark.parametrize("photometric", ["minisblack", "miniswhite"])
@pytest.mark.parametrize("bits", [2, 4, 5, 6, 7])
def test_fewer_than_8_bits_fill_8_as_they_are_shown(tmp_path: Path, bits: int, photometric: str) -> None:
    path, top = tmp_path / "a.tif", (1 << bits) - 1
    stored = _pixels(np.uint8, 1, top)[:, :, 0]
    tifffile.imwrite(path, stored, bitspersample=bits, photometric=photometric)
    image = image_io.read(path)
    shown = top - stored if photometric == "miniswhite" else stored
    np.testing.assert_allclose(image.to_unit()[:, :, 0], shown / top, atol=0.5 / 255)
    image_io.write(tmp_path / "b.tif", image.with_unit(image.to_unit()))
    assert tifffile.imread(tmp_path / "b.tif").max() == 255
    if bits in (2, 4):  # those Pillow reads
        with Pillow.open(path) as before, Pillow.open(tmp_path / "b.tif") as after:
            np.testing.assert_array_equal(np.asarray(before), np.asarray(after))


def test_a_largest_value_of_a_tiff_is_a_statistic_and_no_limit(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, _pixels(np.uint16, 1, 4000)[:, :, 0], extratags=[(281, "H", 1, 1023, True)])
    image = image_io.read(path)
    assert image.window.high == 4095
    image_io.write(tmp_path / "b.tif", image.with_unit(image.to_unit()))
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "b.tif"), tifffile.imread(path))


@pytest.mark.parametrize("bits", [1, 4, 8])
@pytest.mark.parametrize("low_byte", [True, False])
def test_a_palette_tiff_is_what_its_16_bit_colours_show(tmp_path: Path, bits: int, low_byte: bool) -> None:
    index = RNG.integers(0, 1 << bits, (17, 23), dtype=np.uint8)
    colours = RNG.integers(0, 1 << 16, (3, 1 << bits), dtype=np.uint16)
    colours = colours if low_byte else colours & 0xFF00  # as Pillow and libtiff write them
    as_bits = np.unpackbits(index[:, :, None], axis=2)[:, :, 8 - bits :].reshape(17, -1)
    rows = np.packbits(as_bits, axis=1).tobytes()
    tags = {256: 23, 257: 17, 258: bits, 262: 3, 273: 0, 277: 1, 279: len(rows), 320: 0}
    (tmp_path / "a.tif").write_bytes(_tiff(tags, rows, colours.astype("<u2").tobytes()))
    image = image_io.read(tmp_path / "a.tif")
    image_io.write(tmp_path / "b.tif", image_io.upsampled(image, image.to_unit()))
    shown = np.moveaxis(colours[:, index], 0, -1)
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "b.tif"), shown)
    with Pillow.open(tmp_path / "a.tif") as before, Pillow.open(tmp_path / "b.tif") as after:
        np.testing.assert_array_equal(np.asarray(before.convert("RGB")), np.asarray(after))


@pytest.mark.parametrize("left_out", [{259}, {284}, {259, 284}, {259, 284, 278}, {277}])
def test_what_tiff_makes_optional_may_be_missing(tmp_path: Path, left_out: set[int]) -> None:
    grey = _pixels(np.uint8, 1)[:, :, 0]
    height, width = grey.shape
    tags = {256: width, 257: height, 258: 8, 259: 1, 262: 1, 273: 0, 277: 1, 278: height, 279: grey.size, 284: 1}
    tags = {tag: value for tag, value in tags.items() if tag not in left_out}
    (tmp_path / "a.tif").write_bytes(_tiff(tags, grey.tobytes()))
    np.testing.assert_array_equal(image_io.read(tmp_path / "a.tif").pixels[:, :, 0], grey)


@pytest.mark.parametrize(
    ("stored", "options", "reason"),
    [
        (np.zeros((9, 9, 4), np.uint8), {"photometric": "separated"}, "CMYK"),
        (np.zeros((9, 9, 3), np.uint8), {"photometric": "cielab"}, "L\\*a\\*b"),
        (np.zeros((9, 9, 3), np.uint8), {"photometric": "minisblack", "planarconfig": "contig"}, "3 channels"),
        (np.zeros((9, 9, 5), np.uint8), {"photometric": "rgb"}, "5 channels"),
        (np.zeros((9, 9), np.int16), {}, "int16"),
        (np.zeros((9, 9), np.uint32), {}, "uint32"),
        (np.zeros((9, 9), np.float16), {}, "float16"),
        (np.zeros((9, 9), bool), {}, "1-bit"),
        (np.zeros((99, 99), np.uint8), {"compression": "jpegxr"}, "JPEG XR"),
    ],
)
def test_other_tiffs_are_refused_for_what_they_are(
    tmp_path: Path, stored: np.ndarray, options: dict[str, str], reason: str
) -> None:
    tifffile.imwrite(tmp_path / "a.tif", stored, **options)
    with pytest.raises(InputError, match=reason):
        image_io.read(tmp_path / "a.tif")


@pytest.mark.parametrize("compression", [None, "lzw", "zlib", "zstd", "packbits", "lzma"])
@pytest.mark.parametrize("options", [{}, {"tile": (16, 16)}, {"bigtiff": True, "byteorder": ">"}, {"rowsperstrip": 5}])
def test_every_way_to_store_a_tiff_gives_its_pixels(
    tmp_path: Path, compression: str | None, options: dict[str, object]
) -> None:
    stored = _pixels(np.uint16, 3)
    predictor = compression in ("lzw", "zlib")
    tifffile.imwrite(tmp_path / "a.tif", stored, compression=compression, predictor=predictor, **options)
    np.testing.assert_array_equal(image_io.read(tmp_path / "a.tif", bits=16).pixels, stored)


def test_a_preview_page_is_left_out_with_a_word(tmp_path: Path) -> None:
    stored = _pixels(np.uint8, 1)[:, :, 0]
    with tifffile.TiffWriter(tmp_path / "a.tif") as tiff:
        tiff.write(stored[::4, ::4], subfiletype=1)
        tiff.write(stored)
    image = image_io.read(tmp_path / "a.tif")
    np.testing.assert_array_equal(image.pixels[:, :, 0], stored)
    assert "of 2 pages" in image.note


def test_bits_too_few_for_the_values_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, _pixels(np.uint16, 1, 9000)[:, :, 0])
    with pytest.raises(InputError, match="9000, more than the 12 bits"):
        image_io.read(path, bits=12)


def test_white_is_zero_tiff_is_inverted_and_stays_so(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, np.array([[0, 255], [10, 20]], np.uint8), photometric="miniswhite")
    image = image_io.read(path)
    assert image.to_unit()[0, 0, 0] == 1
    image_io.write(tmp_path / "b.tif", image.with_unit(image.to_unit()))
    with tifffile.TiffFile(tmp_path / "b.tif") as tiff:
        assert tiff.pages[0].photometric.name == "MINISWHITE"
        np.testing.assert_array_equal(tiff.pages[0].asarray(), [[0, 255], [10, 20]])
    with pytest.raises(UsageError, match="white-is-zero"):
        image_io.write(tmp_path / "b.png", image)


def test_planar_and_big_endian_tiffs_are_read_as_they_look(tmp_path: Path) -> None:
    pixels = _pixels(np.uint16, 3)
    tifffile.imwrite(
        tmp_path / "a.tif", np.moveaxis(pixels, -1, 0), photometric="rgb", planarconfig="separate", byteorder=">"
    )
    np.testing.assert_array_equal(image_io.read(tmp_path / "a.tif").pixels, pixels)


def test_resolution_and_profile_are_kept_and_follow_the_size(tmp_path: Path) -> None:
    Pillow.new("RGB", (20, 10)).save(tmp_path / "a.jpg", dpi=(72, 72), icc_profile=b"profile")
    image = image_io.read(tmp_path / "a.jpg")
    enlarged = image_io.upsampled(image, np.zeros((20, 40, 3), np.float32))
    image_io.write(tmp_path / "b.jpg", enlarged)
    with Pillow.open(tmp_path / "b.jpg") as file:
        assert file.size == (40, 20)
        assert file.info["dpi"] == (144, 144)
        assert file.info["icc_profile"] == b"profile"


def test_a_turned_tiff_stays_turned_as_it_was(tmp_path: Path) -> None:
    """Pixels as stored, with the tag that says how to show them: dropping either would flip the picture."""
    stored = _pixels(np.uint8, 1)[:, :, 0]
    tifffile.imwrite(tmp_path / "a.tif", stored, extratags=[(274, "H", 1, 3, True)])
    image = image_io.read(tmp_path / "a.tif")
    np.testing.assert_array_equal(image.pixels[:, :, 0], stored)
    image_io.write(tmp_path / "b.tif", image)
    with tifffile.TiffFile(tmp_path / "b.tif") as tiff:
        assert tiff.pages[0].tags[274].value == 3
        np.testing.assert_array_equal(tiff.pages[0].asarray(), stored)
    with pytest.raises(UsageError, match="turned"):
        image_io.write(tmp_path / "b.png", image)


def test_exif_orientation_of_a_jpeg_is_kept(tmp_path: Path) -> None:
    exif = Pillow.Exif()
    exif[274] = 6
    Pillow.new("RGB", (20, 10)).save(tmp_path / "a.jpg", exif=exif)
    image = image_io.read(tmp_path / "a.jpg")
    assert image.pixels.shape[:2] == (10, 20)
    image_io.write(tmp_path / "b.jpg", image_io.upsampled(image, np.zeros((20, 40, 3), np.float32)))
    with Pillow.open(tmp_path / "b.jpg") as file:
        assert file.getexif()[274] == 6


def test_palette_png_is_read_as_the_colours_it_shows(tmp_path: Path) -> None:
    picture = Pillow.new("P", (4, 4), 1)
    picture.putpalette([0, 0, 0, 200, 100, 50])
    picture.save(tmp_path / "a.png")
    assert image_io.read(tmp_path / "a.png").pixels[0, 0].tolist() == [200, 100, 50]


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("text.png", b"this is a letter, not an image", "named .png but not a PNG"),
        ("empty.tif", b"", "the file is empty"),
        ("odd.xyz", b"whatever", "not a PNG, JPEG, TIFF or DICOM"),
        ("text.dcm", b"neither is this, however long it may be made " * 9, "not a DICOM file"),
    ],
)
def test_files_that_are_not_what_they_claim_are_named(tmp_path: Path, name: str, content: bytes, expected: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(InputError, match=expected) as caught:
        image_io.read(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif"])
@settings(max_examples=25, deadline=None)
@given(keep=st.floats(0.02, 0.98))
def test_a_truncated_file_is_an_input_error_never_half_an_image(
    tmp_path_factory: pytest.TempPathFactory, suffix: str, keep: float
) -> None:
    from medsr.core.intensity import Window

    path = tmp_path_factory.mktemp("cut") / f"a{suffix}"
    pixels = RNG.integers(0, 255, (64, 64, 3), dtype=np.uint8)
    image_io.write(path, image_io.Image(pixels, Window.of_bits(8), ""))
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * keep)])
    with pytest.raises(InputError):
        image_io.read(path)


def test_multi_page_tiff_and_float_tiff_are_refused(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "pages.tif", np.zeros((5, 40, 40), np.uint8), photometric="minisblack")
    with pytest.raises(InputError, match="5 pages"):
        image_io.read(tmp_path / "pages.tif")
    tifffile.imwrite(tmp_path / "float.tif", np.zeros((40, 40), np.float32))
    with pytest.raises(InputError, match="float32"):
        image_io.read(tmp_path / "float.tif")


def test_jpeg_cannot_take_16_bits(tmp_path: Path) -> None:
    from medsr.core.intensity import Window

    with pytest.raises(UsageError, match="16-bit"):
        image_io.write(tmp_path / "a.jpg", image_io.Image(_pixels(np.uint16, 1), Window.of_bits(16), ""))


def test_expand_takes_files_folders_and_globs_each_once(tmp_path: Path) -> None:
    for name in ("a.png", "sub/b.tif", "notes.txt", ".hidden.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    measured = image_io.expand([tmp_path, str(tmp_path / "*.png"), tmp_path / "a.png"])
    assert [path.name for path in measured] == ["a.png", "b.tif"]
    with pytest.raises(UsageError, match="nothing to work on"):
        image_io.expand([str(tmp_path / "*.jpg")])


def test_real_images_are_read(real_data: Path) -> None:
    expected = {
        "retina/DRIVE/test/images/01_test.tif": (584, 565, 3),
        "retina/STARE/images/im0001.ppm": (605, 700, 3),
        "retina/CHASE_DB1/Image_01L.jpg": (960, 999, 3),
        "chest/nih/00001873_000.png": (1024, 1024, 1),
    }
    for name, shape in expected.items():
        image = image_io.read(real_data / name)
        assert image.pixels.shape == shape
        assert image.window.high == 255


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_png_keeps_what_says_how_it_is_shown(tmp_path: Path, dtype: type) -> None:
    """Gamma, profile, orientation and resolution, at 16 bits too; dropping one would change or turn the picture."""
    import zlib

    import imagecodecs

    from medsr.io.images import png_chunks

    exif = Pillow.Exif()
    exif[274] = 6
    chunks = {
        b"gAMA": (45455).to_bytes(4, "big"),
        b"iCCP": b"p\0\0" + zlib.compress(b"profile"),
        b"eXIf": exif.tobytes().removeprefix(b"Exif\0\0"),
        b"pHYs": png_chunks.resolution((300, 300)),
    }
    path = tmp_path / "a.png"
    path.write_bytes(b"".join(png_chunks.with_chunks(imagecodecs.png_encode(_pixels(dtype, 3)), chunks)))
    image = image_io.read(path)
    image_io.write(tmp_path / "b.png", image_io.upsampled(image, np.zeros((34, 46, 3), np.float32)))
    with Pillow.open(tmp_path / "b.png") as file:
        assert file.getexif()[274] == 6
        assert file.info["gamma"] == pytest.approx(0.45455)
        assert file.info["icc_profile"] == b"profile"
        assert file.info["dpi"] == pytest.approx((600, 600), rel=1e-3)
        file.load()


def test_uncompressed_ycbcr_is_refused_and_the_kind_of_alpha_kept(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "ycc.tif", _pixels(np.uint8, 3), photometric="ycbcr", subsampling=(1, 1))
    with pytest.raises(InputError, match="YCbCr"):
        image_io.read(tmp_path / "ycc.tif")
    tifffile.imwrite(tmp_path / "a.tif", _pixels(np.uint8, 4), photometric="rgb", extrasamples=["assocalpha"])
    image_io.write(tmp_path / "b.tif", image_io.read(tmp_path / "a.tif"))
    with tifffile.TiffFile(tmp_path / "b.tif") as tiff:
        assert tiff.pages[0].extrasamples[0].name == "ASSOCALPHA"
