"""PNG of every kind, and what becomes PNG; the oracle is Pillow."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
from PIL import Image as Pillow

from medsr.commands.upscale.run import upscale
from medsr.core.errors import InputError, MemoryExhaustedError, UsageError
from medsr.io.images import image as image_io
from medsr.io.kinds import left_out

RNG = np.random.default_rng(0)
RGB = RNG.integers(0, 256, (20, 31, 3), dtype=np.uint8)
GREY = RGB[:, :, 0]


def _again(path: Path) -> Path:
    """Read, and written back as a result of the same size."""
    image = image_io.read(path)
    result = path.with_name(f"result-{path.stem}.png")
    image_io.write(result, image_io.upsampled(image, image.to_unit()))
    return result


def _same_in_pillow(path: Path) -> None:
    with Pillow.open(path) as before, Pillow.open(_again(path)) as after:
        mode = "RGBA" if after.mode in ("LA", "RGBA") else "RGB"
        np.testing.assert_array_equal(np.asarray(after.convert(mode)), np.asarray(before.convert(mode)))


def _bmp(
    size: tuple[int, int], bits: int, data: bytes, kind: int = 0, masks: bytes = b"", colours: bytes = b""
) -> bytes:
    offset = 54 + len(masks) + len(colours)
    info = struct.pack("<IiiHHIIiiII", 40, *size, 1, bits, kind, len(data), 0, 0, len(colours) // 4, 0)
    return b"BM" + struct.pack("<IHHI", offset + len(data), 0, 0, offset) + info + masks + colours + data


COLOURS = RNG.integers(0, 256, 1024, dtype=np.uint8).tobytes()
WORDS = RNG.integers(0, 1 << 15, (4, 6), dtype=np.uint16).astype("<u2").tobytes()
BMPS = {
    "palette of 8 bits": _bmp((4, 2), 8, bytes(range(8)), colours=COLOURS),
    "palette of 4 bits": _bmp((4, 2), 4, bytes([0x12, 0x34, 0, 0, 0x56, 0x78, 0, 0]), colours=COLOURS[:64]),
    "palette of 1 bit": _bmp((4, 1), 1, bytes([0b1011 << 4, 0, 0, 0]), colours=COLOURS[:8]),
    "RLE of 8 bits": _bmp((6, 2), 8, bytes([3, 7, 3, 9, 0, 0, 0, 6, 1, 2, 3, 4, 5, 6, 0, 1]), 1, colours=COLOURS),
    "RLE of 4 bits": _bmp((6, 2), 4, bytes([6, 18, 0, 0, 0, 6, 1, 2, 3, 0, 0, 1]), 2, colours=COLOURS[:64]),
    "555": _bmp((6, 4), 16, WORDS),
    "565": _bmp((6, 4), 16, WORDS, 3, struct.pack("<III", 0xF800, 0x7E0, 0x1F)),
    "top down": _bmp((6, -4), 16, WORDS),
    "32 bits": _bmp((3, 2), 32, COLOURS[:24]),
    "24 bits": _bmp((4, 2), 24, COLOURS[:24]),
}


@pytest.mark.parametrize("name", BMPS)
def test_every_usual_bmp_gives_pillows_pixels(tmp_path: Path, name: str) -> None:
    (tmp_path / "a.bmp").write_bytes(BMPS[name])
    _same_in_pillow(tmp_path / "a.bmp")


@pytest.mark.parametrize("name", ["a.gif", "a.webp", "a.png", "a.bmp", "a.ppm"])
@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "P", "P with transparency"])
def test_other_formats_become_png_with_the_same_pixels(tmp_path: Path, name: str, mode: str) -> None:
    if name.endswith((".bmp", ".ppm")) and mode not in ("L", "RGB"):
        return
    picture = Pillow.fromarray(np.dstack([RGB, GREY])).convert("RGBA" if mode == "RGBA" else "RGB")
    picture = picture.convert(mode) if mode in ("L", "RGB") else picture
    picture = picture.quantize(40) if mode.startswith("P") else picture
    options: dict[str, object] = {"lossless": True, "exact": True} if name.endswith(".webp") else {}
    options |= {"transparency": 3} if "transparency" in mode and not name.endswith(".webp") else {}
    picture.save(tmp_path / name, **options)
    _same_in_pillow(tmp_path / name)


@pytest.mark.parametrize("name", ["a.gif", "a.webp", "a.png"])
def test_animations_are_refused(tmp_path: Path, name: str) -> None:
    frames = [Pillow.fromarray(RGB), Pillow.fromarray(255 - RGB)]
    frames[0].save(tmp_path / name, save_all=True, append_images=frames[1:])
    with pytest.raises(InputError, match="an animation of"):
        image_io.read(tmp_path / name)


def _png(width: int, bits: int, kind: int, row: bytes, chunks: dict[bytes, bytes]) -> bytes:
    from medsr.io.images import png_chunks

    plain = {b"IHDR": struct.pack(">IIBBBBB", width, 1, bits, kind, 0, 0, 0)}
    last = {b"IDAT": zlib.compress(b"\0" + row), b"IEND": b""}
    return b"\x89PNG\r\n\x1a\n" + b"".join(png_chunks._chunk(*one) for one in {**plain, **chunks, **last}.items())


@pytest.mark.parametrize("bits", [2, 4, 8])
@pytest.mark.parametrize("see_through", [False, True])
def test_grey_png_of_few_bits_fills_eight(tmp_path: Path, bits: int, see_through: bool) -> None:
    chunks = {b"tRNS": struct.pack(">H", 2)} if see_through else {}
    row = bytes([0x1B, 0xC4, 0x02, 0x2E])
    (tmp_path / "a.png").write_bytes(_png(8 // bits * 4, bits, 0, row, chunks))
    values = np.unpackbits(np.frombuffer(row, np.uint8)).reshape(-1, bits) @ (1 << np.arange(bits)[::-1])
    with Pillow.open(_again(tmp_path / "a.png")) as after:  # Pillow itself looks for the scaled value in tRNS
        shown, alpha = np.asarray(after.convert("LA"))[0].T
    np.testing.assert_array_equal(shown, values * 255 // ((1 << bits) - 1))
    np.testing.assert_array_equal(alpha == 0, values == 2 if see_through else np.zeros(len(values), bool))


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_16_bits_of_every_kind_come_back(tmp_path: Path, channels: int) -> None:
    stored = RNG.integers(0, 1 << 16, (9, 11, channels), dtype=np.uint16).squeeze()
    (tmp_path / "a.png").write_bytes(imagecodecs.png_encode(stored))
    np.testing.assert_array_equal(imagecodecs.png_decode(_again(tmp_path / "a.png").read_bytes()), stored)


@pytest.mark.parametrize("plain", [False, True])
@pytest.mark.parametrize("largest", [1, 15, 100, 255, 1000, 4095, 65535])
@pytest.mark.parametrize("channels", [1, 3])
def test_pgm_and_ppm_of_any_largest_value_fill_8_or_16_bits(
    tmp_path: Path, channels: int, largest: int, plain: bool
) -> None:
    values = RNG.integers(0, largest, (5, 7, channels), endpoint=True)
    head = f"P{(2 if plain else 5) + channels // 3}\n# a word\n7 5\n{largest}\n".encode()
    raw = values.astype(">u2" if largest > 255 else "u1").tobytes()
    text = "# values\n" + " ".join(map(str, values.ravel()))
    (tmp_path / "a.ppm").write_bytes(head + (text.encode() if plain else raw))
    image = image_io.read(tmp_path / "a.ppm")
    assert image.pixels.dtype == (np.uint8 if largest < 256 else np.uint16)
    np.testing.assert_allclose(image.to_unit(), values / largest, atol=0.5 / 255 if largest < 255 else 1e-5)
    if channels == 1 or largest < 256:  # Pillow reads 16-bit colours as 8 bits
        with Pillow.open(tmp_path / "a.ppm") as file:
            np.testing.assert_allclose(image.pixels.squeeze().astype(int), np.asarray(file), atol=1)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"P5 2 2 255\n123", "3 bytes of pixels, expected 4"),
        (b"P5 2 1 255\n12P5 2 1 255\n34", "more than one picture"),
        (b"P5 2 1 70000\n1234", "up to 70000"),
        (b"P2 2 1 9\n1 10", "more than its largest value 9"),
        (b"P2 2 1 9\n1 x", "whole numbers"),
        (b"P4 8 1\n1", "1-bit"),
        (b"P6 2\n", "header"),
    ],
)
def test_damaged_netpbm_is_refused(tmp_path: Path, content: bytes, reason: str) -> None:
    (tmp_path / "a.pgm").write_bytes(content)
    with pytest.raises(InputError, match=reason):
        image_io.read(tmp_path / "a.pgm")


def test_formats_that_are_not_read_are_named_as_such(tmp_path: Path) -> None:
    Pillow.fromarray(RGB).save(tmp_path / "a.jp2")
    with pytest.raises(InputError, match="JPEG 2000 images are not read; convert it"):
        image_io.read(tmp_path / "a.jp2")
    for name in ("b.gif", "c.gif"):  # masks, in data sets; read where they are named
        Pillow.fromarray(RGB).save(tmp_path / name)
    assert image_io.read(tmp_path / "b.gif").pixels.shape == RGB.shape
    assert image_io.list_images(tmp_path) == []
    assert left_out(tmp_path) == [f"{tmp_path}: left out: 3 files that medsr does not read as images (.gif 2, .jp2 1)"]


def test_linked_folders_are_looked_through_once_and_hidden_ones_not(tmp_path: Path) -> None:
    for region in ("site/a.PNG", "folder/b.jfif", "folder/.hidden/c.png", "folder/d.jp2", "folder/e.txt"):
        (tmp_path / region).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / region).write_bytes(b"x")
    (tmp_path / "folder" / "linked").symlink_to(tmp_path / "site")
    (tmp_path / "folder" / "round").symlink_to(tmp_path / "folder")
    measured = image_io.list_images(tmp_path / "folder")
    assert [path.relative_to(tmp_path).as_posix() for path in measured] == ["folder/b.jfif", "folder/linked/a.PNG"]
    assert [path.name for path in image_io.list_images(tmp_path / "folder", "*.png")] == ["a.PNG"]


def test_jpegs_that_are_not_8_bit_grey_or_colour_are_refused_for_that(tmp_path: Path) -> None:
    Pillow.fromarray(RGB).convert("CMYK").save(tmp_path / "cmyk.jpg")
    stream = io.BytesIO()
    Pillow.fromarray(GREY).save(stream, "JPEG")
    region = stream.getvalue().index(b"\xff\xc0") + 4
    (tmp_path / "deep.jpg").write_bytes(stream.getvalue()[:region] + b"\x0c" + stream.getvalue()[region + 1 :])
    (tmp_path / "lossless.jpg").write_bytes(stream.getvalue().replace(b"\xff\xc0", b"\xff\xc3"))
    (tmp_path / "ls.jpg").write_bytes(imagecodecs.jpegls_encode(GREY))
    for name, reason in (
        ("ls", "a JPEG-LS file"),
        ("cmyk", "a CMYK JPEG"),
        ("deep", "a 12-bit JPEG"),
        ("lossless", "a lossless JPEG"),
    ):
        with pytest.raises(InputError, match=reason):
            image_io.read(tmp_path / f"{name}.jpg")


@pytest.mark.parametrize("dpi", [(72, 72), (60000, 60000), (1, 1)])
@pytest.mark.parametrize("suffix", [".jpg", ".png", ".tif"])
def test_any_resolution_can_be_enlarged(tmp_path: Path, suffix: str, dpi: tuple[int, int]) -> None:
    Pillow.fromarray(RGB).save(tmp_path / f"a{suffix}", dpi=dpi)
    [outcome] = upscale(tmp_path / f"a{suffix}", tmp_path / "out", model="bicubic", outscale=4)
    assert outcome.error is None
    with Pillow.open(outcome.output) as file:
        expected = None if suffix == ".jpg" and dpi[0] > 20000 else 4 * dpi[0]
        assert file.info.get("dpi", (None,))[0] == (expected if expected is None else pytest.approx(expected, rel=0.02))


def test_results_beyond_a_format_or_the_memory_are_refused_before_the_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Pillow.fromarray(np.zeros((8, 5000), np.uint8)).save(tmp_path / "a.jpg")

    def computed(*_: object, **__: object) -> None:
        raise AssertionError("computed all the same")

    monkeypatch.setattr("medsr.images.network.Interpolation.__call__", computed)
    [outcome] = upscale(tmp_path / "a.jpg", tmp_path / "out", model="bicubic", outscale=16)
    assert isinstance(outcome.error, UsageError)
    assert "80000x128 pixels, but JPEG holds at most 65500" in str(outcome.error)
    image = image_io.read(tmp_path / "a.jpg")
    with pytest.raises(MemoryExhaustedError, match="GB of memory"):
        image_io.check_result(tmp_path / "a.png", image, (8 << 20, 5 << 20))
