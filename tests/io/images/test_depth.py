"""One depth for all files of a command; no hot pixel decides it."""

from __future__ import annotations

import json
from pathlib import Path

import imagecodecs
import numpy as np
import pytest

from medsr.commands.reproduce import reproduce
from medsr.commands.upscale.run import upscale
from medsr.core.errors import InputError
from medsr.io.images import image as image_io
from medsr.io.images import png_chunks

RNG = np.random.default_rng(0)


def _film(path: Path, top: int, hot: int = 0, hot_value: int = 65535, sbit: int = 0) -> Path:
    stored = RNG.integers(0, top, (64, 64), dtype=np.uint16, endpoint=True)
    stored.flat[: hot + 1] = top
    stored.flat[:hot] = hot_value
    content = bytes(imagecodecs.png_encode(stored))
    path.write_bytes(b"".join(png_chunks.with_chunks(content, {b"sBIT": bytes([sbit])} if sbit else {})))
    return path


@pytest.mark.parametrize(
    ("top", "hot", "hot_value", "bits"),
    [
        (200, 0, 0, 12),
        (4095, 1, 4200, 12),
        (4095, 4, 65535, 12),
        (4096, 9, 4096, 14),
        (9000, 0, 0, 14),
        (16383, 3, 20000, 14),
        (60000, 0, 0, 16),
    ],
)
def test_a_few_hot_pixels_do_not_decide(tmp_path: Path, top: int, hot: int, hot_value: int, bits: int) -> None:
    image = image_io.read(_film(tmp_path / "a.png", top, hot, hot_value))
    assert image.window.high == (1 << bits) - 1
    assert ("hot pixels" in image.note) == (hot in (1, 4, 3))
    image_io.write(tmp_path / "b.png", image_io.upsampled(image, image.to_unit()))
    np.testing.assert_array_equal(image_io.read(tmp_path / "b.png").pixels, image.pixels)


def test_the_brightest_file_decides_for_all(tmp_path: Path) -> None:
    paths = [_film(tmp_path / "a.png", 3000), _film(tmp_path / "b.png", 9000), _film(tmp_path / "c.png", 100)]
    together = image_io.decide_depth(paths)
    assert {image_io.read(path, assumed=together).window.high for path in paths} == {16383}
    assert [image_io.read(path).window.high for path in paths] == [4095, 16383, 4095]
    assert "as all such images here" in image_io.read(paths[0], assumed=together).note
    bright = image_io.decide_depth([*paths, _film(tmp_path / "d.png", 60000)])
    assert "read as 16-bit as all such images here" in image_io.read(paths[0], assumed=bright).note
    assert image_io.read(tmp_path / "d.png", assumed=bright).note == ""


@pytest.mark.parametrize(("top", "full"), [(16383, 16383), (3000, 16383), (65535, 65535)])
def test_what_a_png_says_of_its_significant_bits_counts(tmp_path: Path, top: int, full: int) -> None:
    """By the standard values are scaled to 16 bits and sBIT is 14; some programs do not scale."""
    assert image_io.read(_film(tmp_path / "a.png", top, sbit=14)).window.high == full


def test_given_bits_must_hold_the_values_but_for_hot_ones(tmp_path: Path) -> None:
    hot = image_io.read(_film(tmp_path / "a.png", 4000, 2), bits=12)
    assert (hot.window.high, hot.window.store_high) == (4095, 65535)
    with pytest.raises(InputError, match="more than the 12 bits"):
        image_io.read(_film(tmp_path / "b.png", 9000), bits=12)


def test_a_batch_decides_once_and_its_sidecar_makes_the_result_again(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    for name, top in (("a", 3000), ("b", 9000)):
        _film(folder / f"{name}.png", top)
    outcomes = upscale(folder, tmp_path / "out", model="bicubic")
    assert all("read as 14-bit" in " ".join(outcome.notes) for outcome in outcomes)
    summary = json.loads((tmp_path / "out" / "upscale.json").read_text())["results"]
    assert [one["parameters"]["assumed_bits"] for one in summary.values()] == [14, 14]
    assert all(one.same for one in reproduce(tmp_path / "out" / "upscale.json"))


def test_dicom_that_declares_16_bits_and_uses_12_is_read_as_12_by_series(tmp_path: Path) -> None:
    from pydicom.data import get_testdata_file
    from pydicom.dataset import Dataset

    dataset = get_testdata_file("CT_small.dcm", read=True)
    assert isinstance(dataset, Dataset)
    tops = {"1.2.3": (3000, 9000), "1.2.4": (2000,)}
    paths = []
    for series, values in tops.items():
        for top in values:
            stored = RNG.integers(0, top, (128, 128), dtype=np.uint16, endpoint=True)
            stored[0, 0] = 60000
            dataset.SeriesInstanceUID, dataset.PixelRepresentation = series, 0
            dataset.BitsStored, dataset.HighBit, dataset.PixelData = 16, 15, stored.tobytes()
            for keyword in ("PixelPaddingValue", "SmallestImagePixelValue", "LargestImagePixelValue"):
                if keyword in dataset:
                    del dataset[keyword]
            paths.append(tmp_path / f"{series}-{top}.dcm")
            dataset.save_as(paths[-1])
    together = image_io.decide_depth(paths)
    assert together == {"1.2.3": 14, "1.2.4": 12}
    images = [image_io.read(path, assumed=together) for path in paths]
    assert [image.window.high for image in images] == [16383, 16383, 4095]
    image_io.write(tmp_path / "b.dcm", image_io.upsampled(images[2], images[2].to_unit()))
    again = image_io.read(tmp_path / "b.dcm")
    np.testing.assert_array_equal(again.pixels, images[2].pixels)
    assert again.extra["dataset"].BitsStored == 16
