"""A large image in bands: nobody can see where they meet, and memory holds the result as it is stored."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from medsr.commands.upscale.run import upscale
from medsr.engines.base import Compute
from medsr.images import bands
from medsr.images.network import Interpolation, Model, Network
from medsr.io.images import image as image_io
from medsr.volumes.models import open_model
from tests.helpers.dicom import write_xray
from tests.helpers.images import write_png

PLAIN = Compute("cpu", "torch", "fp32")


@pytest.fixture
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bands of few rows, so that small images have several."""
    monkeypatch.setattr(bands, "MOST", 1)
    monkeypatch.setattr(bands, "FEWEST", 60)


def _in_bands(image: np.ndarray, model: Model, scale: int) -> np.ndarray:
    cuts = bands.split(image.shape, model, scale)
    assert len(cuts) > 2
    parts: list[tuple[slice, np.ndarray]] = []

    def store(rows: slice, strip: np.ndarray) -> None:
        parts.append((rows, strip.copy()))

    if isinstance(model, Network) and model.scale == scale:
        model.run(lambda rows: image[rows], image.shape, store)
    else:
        bands.run(lambda rows: image[rows], cuts, model, scale, True, store)
    ends = [0, *(rows.stop for rows, _ in parts)]
    assert [rows.start for rows, _ in parts] == ends[:-1]  # each row once, in order
    assert ends[-1] == scale * len(image)
    return np.concatenate([part for _, part in parts])


@pytest.mark.parametrize(
    ("name", "scale"),
    [
        ("medsr-retina-x2", 2),
        ("medsr-retina-x4", 4),
        ("medsr-retina-x4", 2),
        ("medsr-cxr-x2", 2),
        ("bicubic", 2),
        ("lanczos", 3),
    ],
)
def test_bands_give_what_the_whole_image_gives(fundus: np.ndarray, narrow: None, name: str, scale: int) -> None:
    model = open_model(name, PLAIN, 96) if "-" in name else Interpolation(name)  # type: ignore[arg-type]
    image = np.tile(fundus, (2, 1, 1))[:421, :70].astype(np.float32) / 255
    result = _in_bands(image, model, scale)
    assert np.abs(result - model(image, scale)).max() < (2e-5 if "-" in name else 1e-6)


def test_a_band_without_colours_is_computed_as_the_image_with_colours_is(
    tmp_path: Path, fundus: np.ndarray, narrow: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A network for colours makes of grey what differs by many levels from what it makes of grey as a grey image."""
    grey = np.repeat(np.tile(fundus, (2, 1, 1))[:421, :70, 1:2], 3, axis=2)
    marked = grey.copy()
    marked[2:8, 2:8] = (255, 200, 0)
    results = {}
    for name, pixels in (("grey", grey), ("marked", marked)):
        path = write_png(tmp_path / f"{name}.png", pixels)
        for most in (1, bands.MOST * 10**9):
            monkeypatch.setattr(bands, "MOST", most)
            [outcome] = upscale(path, tmp_path / str(most), model="medsr-retina-x2", engine="torch", precision="fp32")
            results[name, most == 1] = image_io.read(outcome.output).pixels.astype(int)
    for name in ("grey", "marked"):
        assert np.abs(results[name, True] - results[name, False]).max() <= 1  # rounding
    assert np.abs(results["grey", True] - results["marked", True])[400:].max() > 1  # more than rounding
    assert (results["grey", True] == results["grey", True][:, :, :1]).all()


def test_what_must_be_seen_whole_or_begins_between_rows_has_one_band(narrow: None) -> None:
    shape, bicubic = (900, 40, 3), Interpolation("bicubic")
    assert len(bands.split(shape, Interpolation("bicubic", margin=None), 2)) == 1
    assert len(bands.split(shape, bicubic, 1.5)) == 1
    assert len(bands.split(shape, bicubic, 2)) > 1
    assert len(bands.split(shape, open_model("medsr-retina-x2", PLAIN, 0), 2)) == 1  # the user asked for one piece
    assert len(bands.split(shape, open_model("medsr-retina-x2", PLAIN), 2)) > 1


@pytest.mark.parametrize("kind", ["colour", "16 bits", "transparent", "radiograph with a background"])
def test_files_are_the_same_in_bands(
    tmp_path: Path, fundus: np.ndarray, kind: str, request: pytest.FixtureRequest
) -> None:
    import imagecodecs

    picture = np.tile(fundus, (2, 1, 1))[:300, :60]
    grey = picture[:, :, 1].astype(np.uint16) * 16
    path = tmp_path / "in.png"
    if kind == "colour":
        write_png(path, picture)
    elif kind == "16 bits":
        write_png(path, grey * 16)
    elif kind == "transparent":
        path.write_bytes(imagecodecs.png_encode(np.ascontiguousarray(np.dstack([picture, picture[:, :, 0]]))))
    else:
        grey[40:200, 20:50] = 0
        grey[200:220, 5:50] = 1
        path = write_xray(tmp_path / "in.dcm", grey, PixelPaddingValue=0, PixelPaddingRangeLimit=1)
    [whole] = upscale(path, tmp_path / "whole", model="bicubic")
    request.getfixturevalue("narrow")
    [banded] = upscale(path, tmp_path / "bands", model="bicubic")
    assert whole.error is banded.error is None
    before, after = image_io.read(whole.output), image_io.read(banded.output)
    np.testing.assert_array_equal(after.pixels, before.pixels)
    if kind == "transparent":
        np.testing.assert_array_equal(after.alpha, before.alpha)
    if kind.startswith("radiograph"):
        np.testing.assert_array_equal(after.pixels[80:400, 40:100], 0)
        np.testing.assert_array_equal(after.pixels[400:440, 10:100], 1)


@pytest.mark.slow
def test_memory_grows_by_the_result_as_it_is_stored(tmp_path: Path) -> None:
    """From 25 to 100 megapixels of colour: as floats all at once, interpolation would take 2.5 GB more."""
    peaks = []
    for side in (2500, 5000):
        noise = np.random.default_rng(0).integers(0, 255, (side, side, 3), dtype=np.uint8)
        path = write_png(tmp_path / f"{side}.png", noise)
        code = (
            "import resource, sys; import medsr; [outcome] = medsr.upscale(*sys.argv[1:], model='bicubic'); "
            "assert outcome.error is None; print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
        )
        command = [sys.executable, "-c", code, str(path), str(tmp_path / f"out{side}")]
        peaks.append(int(subprocess.run(command, check=True, capture_output=True, text=True).stdout) / 1024)
    assert peaks[1] - peaks[0] < 1200
