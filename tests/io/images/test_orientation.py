"""What is shown stays what is shown: the oracle is Pillow's ImageOps.exif_transpose."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image as Pillow
from PIL import ImageOps

from medsr.commands.evaluate.drive import read_mask
from medsr.io.images import image as image_io
from medsr.io.images import png_chunks
from medsr.io.orientation import picture_as_shown, stated

GREY = np.random.default_rng(0).integers(0, 256, (11, 17), dtype=np.uint8)
ALL = range(1, 9)


def _exif(orientation: int) -> bytes:
    exif = Pillow.Exif()
    exif[274] = orientation
    return exif.tobytes()


def _write(path: Path, orientation: int, way: str) -> None:
    if path.suffix == ".tif":
        tags = [(274, "H", 1, orientation, True)]
        tifffile.imwrite(path, GREY, compression=way or None, extratags=tags, metadata=None)
        return
    picture = Pillow.fromarray(GREY)
    if way == "xmp":
        packet = f'<x:xmpmeta><rdf:Description tiff:Orientation="{orientation}"/></x:xmpmeta>'.encode()
        picture.save(path, quality=95, xmp=packet)
        return
    if way == "raw profile":
        body = _exif(orientation).hex()
        text = png_chunks.RAW_EXIF + b"\0\0" + zlib.compress(f"\nexif\n{len(body) // 2:8d}\n{body}\n".encode())
        stream = io.BytesIO()
        picture.save(stream, "PNG")
        content, end = stream.getvalue()[:-12], stream.getvalue()[-12:]
        path.write_bytes(content + struct.pack(">I", len(text)) + b"zTXt" + text)
        path.write_bytes(path.read_bytes() + struct.pack(">I", zlib.crc32(b"zTXt" + text)) + end)
        return
    options = {"lossless": True} if path.suffix == ".webp" else {"quality": 95}
    picture.save(path, exif=_exif(orientation), **options)


def _shown(path: Path) -> np.ndarray:
    if path.suffix == ".tif":  # Pillow turns some TIFFs itself
        with tifffile.TiffFile(path) as tiff:
            stored, tag = tiff.pages[0].asarray(), tiff.pages[0].tags.get(274)
        picture = Pillow.fromarray(stored)
        picture.getexif()[274] = tag.value if tag else 1
        return np.asarray(ImageOps.exif_transpose(picture))
    with Pillow.open(path) as file:
        file.load()  # PNG may name it behind the pixels
        return np.asarray(ImageOps.exif_transpose(file).convert("L"))


@pytest.mark.parametrize("orientation", ALL)
@pytest.mark.parametrize(
    ("name", "way"),
    [
        ("a.jpg", ""),
        ("a.jpg", "xmp"),
        ("a.png", ""),
        ("a.png", "raw profile"),
        ("a.webp", ""),
        ("a.tif", ""),
        ("a.tif", "zlib"),
    ],
)
def test_any_orientation_is_taken_as_shown_and_kept_in_the_result(
    tmp_path: Path, orientation: int, name: str, way: str
) -> None:
    _write(tmp_path / name, orientation, way)
    shown = _shown(tmp_path / name)
    read = image_io.read_as_shown(tmp_path / name)
    np.testing.assert_array_equal(read.pixels[:, :, 0], shown)
    image = image_io.read(tmp_path / name)
    result = tmp_path / ("b.png" if name.endswith(".webp") else f"b{Path(name).suffix}")
    image_io.write(result, image_io.upsampled(image, image.to_unit()))
    np.testing.assert_allclose(_shown(result).astype(int), shown, atol=6 if name.endswith(".jpg") else 0)
    image_io.write(tmp_path / "c.png", read)  # turned once is not turned again
    np.testing.assert_array_equal(_shown(tmp_path / "c.png"), shown)


@pytest.mark.parametrize("compression", [None, "zlib"])
@pytest.mark.parametrize("orientation", ALL)
def test_masks_lie_as_they_are_shown(tmp_path: Path, orientation: int, compression: str | None) -> None:
    tags = [(274, "H", 1, orientation, True)]
    tifffile.imwrite(tmp_path / "a.tif", GREY, compression=compression, extratags=tags, metadata=None)
    shown = _shown(tmp_path / "a.tif")
    np.testing.assert_array_equal(np.asarray(picture_as_shown(tmp_path / "a.tif")), shown)
    np.testing.assert_array_equal(read_mask(tmp_path / "a.tif", shown.shape), shown > 127)


@pytest.mark.parametrize("exif", [b"", b"Exif\0\0", b"Exif\0\0MM", b"nonsense", _exif(6)[:20], _exif(9), _exif(0)])
def test_damaged_or_odd_exif_names_no_orientation(tmp_path: Path, exif: bytes) -> None:
    assert stated(exif) == 1
    Pillow.fromarray(GREY).save(tmp_path / "a.jpg", exif=exif)
    image_io.write(tmp_path / "b.jpg", image_io.read(tmp_path / "a.jpg"))
    with Pillow.open(tmp_path / "b.jpg") as file:
        file.load()


def test_exif_longer_than_a_segment_keeps_the_orientation(tmp_path: Path) -> None:
    """Cameras split it over two segments, which are read as one; a program cannot always put it back."""
    exif = Pillow.Exif()
    exif[274] = 6
    exif[37500] = b"x" * 90000
    body = exif.tobytes().removeprefix(b"Exif\0\0")
    stream = io.BytesIO()
    Pillow.fromarray(GREY).save(stream, "JPEG")
    content = stream.getvalue()
    segments = b""
    for start in range(0, len(body), 60000):
        data = b"Exif\0\0" + body[start : start + 60000]
        segments += b"\xff\xe1" + struct.pack(">H", len(data) + 2) + data
    (tmp_path / "a.jpg").write_bytes(content[:2] + segments + content[2:])
    image_io.write(tmp_path / "b.jpg", image_io.read(tmp_path / "a.jpg"))
    with Pillow.open(tmp_path / "b.jpg") as file:
        assert file.getexif()[274] == 6
