"""Small files that unpack to gigabytes, or claim elements without end, are refused in little time and memory."""

from __future__ import annotations

import gzip
import io
import os
import struct
import subprocess
import sys
import time
import zipfile
import zlib
from pathlib import Path

import nibabel
import numpy as np
import pytest
import SimpleITK
import tifffile
from PIL import Image as Pillow
from pydicom.dataset import Dataset
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian

from medsr.core.errors import InputError
from medsr.io import decoder, expansion
from medsr.io.dicom import reader
from medsr.io.images import image as image_io
from medsr.io.images import opening
from medsr.io.orientation import picture_as_shown
from medsr.io.volumes import volume as volume_io
from tests.helpers.dicom import slice_of, write_slices

READ = """
import resource, sys
from pathlib import Path
from medsr.core.errors import MedsrError
from medsr.io import scans
from medsr.io.images import image
from medsr.io.volumes import volume
import SimpleITK, imagecodecs, nibabel, pydicom.pixels, simplejpeg, tifffile
held = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (held + 200_000_000,) * 2)
resource.setrlimit(resource.RLIMIT_CPU, (40, 40))
for name in sys.argv[1:]:
    path = Path(name)
    for read in (image.read, volume.read, lambda path: scans.find(path.parent)):
        try:
            read(path)
            print(path.parent.name, "read")
        except MedsrError as error:
            print(path.parent.name, type(error).__name__)
"""
"""Within 200 MB more than the libraries take and 40 s for all of them together."""


def deflated(size: int, head: bytes = b"", wbits: int = -15) -> bytes:
    """`head` and zeros."""
    pack = zlib.compressobj(1, zlib.DEFLATED, wbits)
    block = bytes(1 << 22)
    parts = [
        pack.compress(head),
        *(pack.compress(block[: min(size - at, len(block))]) for at in range(0, size, 1 << 22)),
    ]
    return b"".join([*parts, pack.flush()])


def element(tag: int, length: int) -> bytes:
    return struct.pack("<HH2sHI", tag >> 16, tag & 0xFFFF, b"OW", 0, length)


def parts(dataset: Dataset) -> tuple[bytes, bytes]:
    """A file as deflated ones begin, and its elements before the pixels."""
    del dataset.PixelData
    files = []
    for syntax in (DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian):
        dataset.file_meta.TransferSyntaxUID = syntax
        stream = io.BytesIO()
        dataset.save_as(stream, enforce_file_format=True)
        files.append(stream.getvalue())
    ends = [144 + struct.unpack_from("<I", content, 140)[0] for content in files]
    return files[0][: ends[0]], files[1][ends[1] :]


def nifti(second: bool, begin: int, tail: bytes) -> bytes:
    header = (nibabel.Nifti2Header if second else nibabel.Nifti1Header)()
    header.set_data_shape((4, 4, 4))
    header.set_data_dtype(np.int16)
    header["vox_offset"], header["magic"] = header.sizeof_hdr + 4 + begin, b"n+2" if second else b"n+1"
    return header.binaryblock + tail


def bombs() -> dict[str, tuple[str, bytes]]:
    """Name -> file name and content."""
    meta, body = parts(slice_of(0))
    size = 250_000_000
    extension = b"\1\0\0\0" + struct.pack("<ii", size, 6)
    many = struct.pack("<ii8x", 16, 6) * 300_000
    zipped = io.BytesIO()
    with zipfile.ZipFile(zipped, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("0.dcm", bytes(100_000_000))
        archive.writestr("1.dcm", bytes(128) + b"DICM" + bytes(50_000_000))
    return {
        "deflated-pixels": ("a.dcm", meta + deflated(size, body + element(0x7FE00010, size))),
        "deflated-before-pixels": ("a.dcm", meta + deflated(size, element(0x00091010, size))),
        "deflated-zeros": ("a.dcm", meta + deflated(size)),
        "gzip-pixels": ("a.dcm", deflated(size, meta.replace(reader.DEFLATED, reader.PLAIN) + body, 31)),
        "zeros": ("a.dcm", bytes(30_000_000)),
        "zeros-with-preamble": ("a.dcm", bytes(128) + b"DICM" + bytes(30_000_000)),
        "zip-of-zeros": ("a.zip", zipped.getvalue()),
        "nifti-extension": ("a.nii.gz", deflated(size, nifti(False, size, extension), 31)),
        "nifti2-extension": ("a.nii.gz", deflated(size, nifti(True, size, extension), 31)),
        "nifti-extensions": ("a.nii.gz", gzip.compress(nifti(False, len(many), b"\1\0\0\0" + many + bytes(128)))),
        "nifti-far": ("a.nii.gz", deflated(size, nifti(False, size, b"\0\0\0\0"), 31)),
    }


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="measures memory as Linux does")
def test_bombs_end_in_an_error_in_little_time_and_memory(tmp_path: Path) -> None:
    paths = []
    for name, (file, content) in bombs().items():
        paths.append(tmp_path / name / file)
        paths[-1].parent.mkdir()
        paths[-1].write_bytes(content)
        assert len(content) < 31_000_000
    done = subprocess.run(
        [sys.executable, "-c", READ, *map(str, paths)], capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stderr[-1000:]
    ends = [line.split() for line in done.stdout.splitlines()]
    expected = [[path.parent.name, end] for path in paths for end in ("InputError", "InputError", "read")]
    assert ends == expected


@pytest.mark.parametrize("suffix", [".dcm", ".nii", ".nii.gz", ".tif", ".png", ".mgz", ".nrrd", ".mha", ".zip"])
def test_files_of_holes_are_refused_at_once(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    with path.open("wb") as stream:
        stream.write(b"some bytes")
        stream.truncate(100 << 30)
    if path.stat().st_blocks > 1000:
        pytest.skip("this file system has no holes")
    for read in (image_io.read, volume_io.read):
        with pytest.raises(InputError, match="next to nothing is on the disk"):
            read(path)


def test_a_deflated_series_is_read_as_it_was(tmp_path: Path) -> None:
    folder = write_slices(tmp_path / "plain", [slice_of(k) for k in range(4)])
    expected = volume_io.read(folder)
    (tmp_path / "deflated").mkdir()
    for k in range(4):
        dataset = slice_of(k)
        pixels = dataset.PixelData
        meta, body = parts(dataset)
        pack = zlib.compressobj(9, zlib.DEFLATED, -15)
        whole = body + element(0x7FE00010, len(pixels)) + pixels
        (tmp_path / "deflated" / f"{k}.dcm").write_bytes(meta + pack.compress(whole) + pack.flush())
    measured = volume_io.read(tmp_path / "deflated")
    np.testing.assert_array_equal(measured.stored, expected.stored)
    np.testing.assert_allclose(measured.affine, expected.affine)


def test_a_packed_slice_with_a_wrong_checksum_is_refused(tmp_path: Path) -> None:
    write_slices(tmp_path / "plain", [slice_of(0)])
    packed = bytearray(gzip.compress(next((tmp_path / "plain").iterdir()).read_bytes()))
    for name, content in (("whole", packed), ("cut", packed[:-5]), ("changed", packed[:-8] + bytes(4) + packed[-4:])):
        path = tmp_path / f"{name}.dcm"
        path.write_bytes(content)
        if name == "whole":
            with path.open("rb") as stream:
                assert reader.dataset_of(stream, name).Rows == 6
            continue
        with path.open("rb") as stream, pytest.raises(InputError, match="truncated or damaged"):
            reader.dataset_of(stream, name)


def test_a_mask_that_packs_two_hundred_times_is_read(tmp_path: Path) -> None:
    path = tmp_path / "mask.nii.gz"
    nibabel.save(nibabel.Nifti1Image(np.zeros((300, 300, 200), np.uint8), np.eye(4)), path)
    assert path.stat().st_size < 18_000_000 / 200
    assert volume_io.read(path).stored.shape == (300, 300, 200)


def test_formats_that_pack_themselves_are_held_to_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(expansion, "LARGE", 1_000_000)
    zeros = np.zeros((200, 200, 100), np.uint8)
    for name in ("a.mgz", "a.nii.gz"):
        kind = nibabel.MGHImage if name == "a.mgz" else nibabel.Nifti1Image
        nibabel.save(kind(zeros, np.eye(4, dtype=np.float32)), tmp_path / name)
    for name in ("a.nrrd", "a.mha"):
        SimpleITK.WriteImage(SimpleITK.GetImageFromArray(zeros), str(tmp_path / name), useCompression=True)
    for path in sorted(tmp_path.iterdir()):
        with pytest.raises(InputError, match="times its size"):
            volume_io.read(path)


def test_what_is_large_and_dense_is_refused_and_what_is_large_is_not() -> None:
    expansion.check(2e9, 30_000_000, "scan.nii.gz")
    with pytest.raises(InputError, match="would unpack to 2000 MB, 200 times its size"):
        expansion.check(2e9, 10_000_000, "bomb.nii.gz")


def test_extensions_of_usual_size_are_read(tmp_path: Path) -> None:
    image = nibabel.Nifti1Image(np.ones((4, 4, 4), np.int16), np.eye(4))
    image.header.extensions.append(nibabel.nifti1.Nifti1Extension("comment", os.urandom(200_000)))
    for name in ("a.nii", "a.nii.gz"):
        nibabel.save(image, tmp_path / name)
        assert any("1 header extension(s)" in note for note in volume_io.read(tmp_path / name).notes)


def test_going_back_within_what_was_unpacked() -> None:
    content = os.urandom(1_000_000)
    pack = zlib.compressobj(9, zlib.DEFLATED, -15)
    packed = pack.compress(content) + pack.flush()
    source = expansion.Forward(expansion.inflated(iter([packed])), len(content), "too much")
    assert source.read(700_000) == content[:700_000]
    source.seek(-6, 1)
    assert source.read() == content[700_000 - 6 :]
    short = expansion.Forward(expansion.inflated(iter([packed])), len(content) - 1, "too much")
    with pytest.raises(InputError, match="too much"):
        short.read()


def blank(side: int, form: str, mode: str = "RGB", **options: object) -> bytes:
    stream = io.BytesIO()
    Pillow.new(mode, (side, side)).save(stream, form, **options)
    return stream.getvalue()


def pictures(side: int) -> dict[str, bytes]:
    """Blank pictures of `side` by `side` pixels."""
    grey, colour = np.zeros((side, side), np.uint8), np.zeros((side, side, 3), np.uint8)
    measured = {"a.gif": blank(side, "GIF", "P"), "a.webp": blank(side, "WEBP", lossless=True)}
    measured["rgb.png"] = blank(side, "PNG")
    measured["palette.png"] = blank(side, "PNG", "P")
    for name, pixels in (("zlib", colour), ("lzw", colour), ("packbits", grey), ("lzma", grey), ("jpeg", colour)):
        stream = io.BytesIO()
        tifffile.imwrite(stream, pixels, compression=name, photometric="rgb" if pixels.ndim == 3 else "minisblack")
        measured[f"{name}.tif"] = stream.getvalue()
    return measured


def test_pictures_of_next_to_nothing_are_refused_where_they_are_large(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    side = 2000
    files = pictures(side)
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
        assert image_io.read(tmp_path / name).pixels.shape[:2] == (side, side)
        assert picture_as_shown(tmp_path / name).size == (side, side)
    monkeypatch.setattr(opening, "LARGE", 1_000_000)
    monkeypatch.setattr(decoder, "LARGE_SLOW", 1_000_000)
    monkeypatch.setattr(expansion, "MOST_DENSE", 20)
    for name in files:
        with pytest.raises(InputError, match=r"times as much|cannot hold"):
            image_io.read(tmp_path / name)
        with pytest.raises(InputError, match="times as much"):
            picture_as_shown(tmp_path / name)
    (tmp_path / "full.png").write_bytes(png_of_noise(1000))
    assert image_io.read(tmp_path / "full.png").pixels.shape == (1000, 1000, 3)


def png_of_noise(side: int) -> bytes:
    stream = io.BytesIO()
    Pillow.fromarray(np.random.default_rng(0).integers(0, 255, (side, side, 3), np.uint8)).save(stream, "PNG")
    return stream.getvalue()


def test_pictures_whose_pages_or_frames_take_minutes_to_count_are_refused_at_once(tmp_path: Path) -> None:
    pages = [b"II*\0" + struct.pack("<I", 8)]
    pages += [struct.pack("<HHHIII", 1, 256, 4, 1, 10, 8 + 18 * n) for n in range(1, 300_000)]
    (tmp_path / "a.tif").write_bytes(b"".join(pages))
    frame = b"\x2c" + struct.pack("<HHHHB", 0, 0, 1, 1, 0) + b"\2\2\x44\1\0"
    head = b"GIF89a" + struct.pack("<HHBBB", 1, 1, 0x80, 0, 0) + bytes(6)
    (tmp_path / "a.gif").write_bytes(head + frame * 300_000 + b";")
    begin = time.process_time()
    with pytest.raises(InputError, match="has more than 1000 pages"):
        image_io.read(tmp_path / "a.tif")
    with pytest.raises(InputError, match="an animation of several pictures"):
        image_io.read(tmp_path / "a.gif")
    assert time.process_time() - begin < 2


def test_a_plain_graymap_is_read_as_numbers_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "a.pgm"
    path.write_bytes(b"P2\n3 2\n255 # grey\n0 10 # ten\n255\n7\t8 009\n")
    expected = [[0, 10, 255], [7, 8, 9]]
    np.testing.assert_array_equal(image_io.read(path).pixels[:, :, 0], expected)
    np.testing.assert_array_equal(np.asarray(picture_as_shown(path)), expected)
    for values, what in (("1 2 3 4 5", "5 values"), ("1 2 3 4 5 -6", "whole"), ("1 2 3 4 5 1e2", "whole")):
        path.write_bytes(b"P2\n3 2\n255\n" + values.encode())
        with pytest.raises(InputError, match=what):
            image_io.read(path)
    path.write_bytes(b"P2\n3 2\n255\n1 2 3 4 5 " + b"9" * 400)
    with pytest.raises(InputError, match="more than its largest"):
        image_io.read(path)
