from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image as Pillow

from medsr.commands.prepare import write_images
from medsr.commands.prepare.write_images import Task
from medsr.core.errors import InputError
from medsr.core.intensity import Window
from medsr.data.cards import GroundTruth
from medsr.io.images import image as image_io
from medsr.io.images.base import DICOM, PNG, TIFF, Image
from medsr.recipe import MultiScale
from tests.helpers.images import write_png


@pytest.mark.parametrize("bits", ["auto", "7", "17", "-9", "\u0661\u0662"])
def test_a_journal_with_another_depth_is_damaged(bits: str) -> None:
    record = {"file": "a.png", "role": "image", "size": "4x4", "original": False, "sha256": "0" * 64}
    assert write_images.restored_files([record | {"bits": "12"}])
    with pytest.raises(ValueError, match="number of bits"):
        write_images.restored_files([record | {"bits": bits}])


@given(height=st.integers(20, 90), width=st.integers(20, 90), side=st.integers(5, 20), stride=st.integers(1, 30))
def test_crops_lie_inside_and_lose_no_pixel_up_to_their_stride(height: int, width: int, side: int, stride: int) -> None:
    seen = np.zeros((height, width), bool)
    places = list(write_images.crops((height, width), side, stride))
    for top, left in places:
        assert 0 <= top <= height - side
        assert 0 <= left <= width - side
        seen[top : top + side, left : left + side] = True
    assert len(set(places)) == len(places)
    if stride <= side:
        assert seen.all()


def test_pieces_reductions_and_originals_are_what_they_say(tmp_path: Path, fundus: np.ndarray) -> None:
    source = write_png(tmp_path / "eye.png", fundus)
    wanted = GroundTruth(multiscale=MultiScale(scales=(0.5,), shortest_edge=100))
    outputs = write_images.write_item(Task("eye", "train", "images", {"image": source}, wanted), tmp_path / "out")
    sizes = {output.size: output for output in outputs}
    assert list(sizes) == ["256x256", "128x128", "100x100"]
    assert [output.original for output in outputs] == [True, False, False]
    for size, output in sizes.items():
        side = int(size.partition("x")[0])
        expected = np.asarray(Pillow.fromarray(fundus).resize((side, side), Pillow.Resampling.LANCZOS)).astype(int)
        pixels = image_io.read(tmp_path / "out" / output.file).pixels.astype(int)
        assert np.abs(pixels - expected).max() <= (0 if side == 256 else 1)  # Pillow rounds between its two passes


def test_crops_hold_the_images_own_pixels(tmp_path: Path, fundus: np.ndarray) -> None:
    source = write_png(tmp_path / "eye.png", fundus)
    outputs = write_images.write_item(
        Task("eye", "train", "images", {"image": source}, GroundTruth(crop=96, stride=64)), tmp_path / "out"
    )
    assert len(outputs) == 16
    assert outputs[-1].file == "train/eye@y0160_x0160.png"
    pixels = image_io.read(tmp_path / "out" / outputs[-1].file).pixels
    np.testing.assert_array_equal(pixels, fundus[160:, 160:])


@pytest.mark.parametrize("inverted", [False, True])
@pytest.mark.parametrize("signed", [False, True])
def test_bright_is_high_whatever_the_file_meant_and_the_depth_is_said(
    inverted: bool, signed: bool, tmp_path: Path
) -> None:
    window = Window.of_bits(12, signed=signed, inverted=inverted)
    low, high = int(window.low), int(window.high)
    stored = np.linspace(low, high, 64).round().astype(np.int16 if signed else np.uint16).reshape(8, 8, 1)
    image = Image(stored, window, DICOM, extra={"declared": 12, "dataset": None})
    result = write_images.plain(image)
    assert result.kind == TIFF
    np.testing.assert_allclose(result.to_unit(), image.to_unit(), atol=1e-7)
    image_io.write(tmp_path / "x.tif", result)
    again = image_io.read(tmp_path / "x.tif")
    np.testing.assert_array_equal(again.pixels, result.pixels)
    np.testing.assert_allclose(again.to_unit(), image.to_unit(), atol=1e-7)


def test_eight_bits_stay_as_they_are_and_transparency_goes(fundus: np.ndarray) -> None:
    image = Image(fundus, Window.of_bits(8), PNG, alpha=np.full(fundus.shape[:2], 255, np.uint8))
    result = write_images.plain(image)
    assert result.kind == PNG
    assert result.alpha is None
    np.testing.assert_array_equal(result.pixels, fundus)
    same = np.repeat(fundus[:, :, :1], 3, axis=2)
    np.testing.assert_array_equal(
        write_images.plain(Image(same, Window.of_bits(8), PNG), grey=True).pixels, fundus[:, :, :1]
    )


@pytest.mark.parametrize("suffix", [".jpg", ".tif"])
@pytest.mark.parametrize("orientation", [3, 6])
def test_images_and_masks_are_kept_as_they_are_shown(
    tmp_path: Path, fundus: np.ndarray, orientation: int, suffix: str
) -> None:
    stored = Pillow.fromarray(fundus[:120, :90])
    if suffix == ".tif":
        tifffile.imwrite(tmp_path / "eye.tif", fundus[:120, :90], extratags=[(274, "H", 1, orientation, True)])
    else:
        exif = Pillow.Exif()
        exif[274] = orientation
        stored.save(tmp_path / "eye.jpg", quality=97, exif=exif)
    turn = {3: Pillow.Transpose.ROTATE_180, 6: Pillow.Transpose.ROTATE_270}[orientation]
    shown = np.asarray(stored.transpose(turn)).astype(int)
    write_png(tmp_path / "mask.png", ((shown[:, :, 0] > 100) * 255).astype(np.uint8))
    files = {"image": tmp_path / f"eye{suffix}", "mask": tmp_path / "mask.png"}
    image, mask = write_images.write_item(Task("eye", "train", "images", files, GroundTruth()), tmp_path / "out")
    assert image.size == mask.size
    pixels = image_io.read(tmp_path / "out" / image.file).pixels.astype(int)
    assert np.abs(pixels - shown).mean() < 3
    with Pillow.open(tmp_path / "out" / image.file) as file:
        assert file.getexif().get(274) is None
    write_png(tmp_path / "mask.png", np.zeros((90, 120) if orientation == 3 else (120, 90), np.uint8))
    with pytest.raises(InputError, match="turn the mask by 90 degrees"):
        write_images.write_item(Task("eye", "train", "images", files, GroundTruth()), tmp_path / "again")


def test_a_declared_depth_and_an_assumed_one_are_kept(tmp_path: Path) -> None:
    stored = np.random.default_rng(0).integers(0, 3000, (64, 64), dtype=np.uint16)
    for name, options in (("said", {"bitspersample": 12}), ("open", {})):
        tifffile.imwrite(tmp_path / f"{name}.tif", stored, **options)
        files = {"image": tmp_path / f"{name}.tif"}
        [output] = write_images.write_item(Task(name, "train", "images", files, GroundTruth(bits=14)), tmp_path / "out")
        assert output.bits == ("" if name == "said" else "14")
        image = image_io.read(tmp_path / "out" / output.file, int(output.bits or 16))
        assert image.window.high == (4095 if name == "said" else 16383)
        np.testing.assert_array_equal(image.pixels[:, :, 0], stored)
