"""Whatever a network does to brightness and colour, a result has the input's."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image as Pillow
from scipy.ndimage import gaussian_filter

import medsr
from medsr.core.errors import UsageError
from medsr.images.consistency import SIGMA, correct_strips, keep_intensities
from medsr.io.images import image as image_io
from medsr.networks import checkpoint, weight_store
from medsr.volumes.models import open_model
from tests.helpers.images import write_png
from tests.helpers.models import convert


def _reduced(result: np.ndarray, scale: int) -> np.ndarray:
    height, width = (length // scale for length in result.shape[:2])
    means: np.ndarray = result.reshape(height, scale, width, scale, -1).mean((1, 3))
    return means


@settings(max_examples=30, deadline=None)
@given(
    height=st.integers(1, 40),
    width=st.integers(1, 40),
    scale=st.sampled_from([1, 2, 3, 4]),
    channels=st.sampled_from([1, 3]),
    shift=st.floats(-0.5, 0.5),
)
def test_a_shift_of_brightness_is_taken_back(height: int, width: int, scale: int, channels: int, shift: float) -> None:
    truth = np.random.default_rng(0).random((height * scale, width * scale, channels)).astype(np.float32)
    result = truth + np.float32(shift)
    keep_intensities(result, _reduced(truth, scale), scale)
    np.testing.assert_allclose(result, truth, atol=1e-5)


def _by_the_book(result: np.ndarray, unit: np.ndarray, scale: int) -> np.ndarray:
    """One channel: result + U G (unit - D result), each step by a library."""
    from skimage.measure import block_reduce

    error = gaussian_filter(unit - block_reduce(result, (scale, scale), np.mean), SIGMA, mode="reflect")
    size = result.shape[::-1]
    return result + np.asarray(Pillow.fromarray(error).resize(size, Pillow.Resampling.BICUBIC))


@settings(max_examples=25, deadline=None)
@given(
    heights=st.lists(st.integers(1, 160), min_size=1, max_size=6),
    scale=st.sampled_from([1, 2, 3, 4]),
    channels=st.sampled_from([1, 3]),
)
def test_strips_are_corrected_as_the_whole_is(heights: list[int], scale: int, channels: int) -> None:
    rng = np.random.default_rng(sum(heights))
    height, width = sum(heights), 23
    unit = rng.random((height, width, channels)).astype(np.float32)
    result = rng.random((height * scale, width * scale, channels)).astype(np.float32)
    expected = [_by_the_book(result[:, :, c], unit[:, :, c], scale) for c in range(channels)]
    cuts = np.cumsum(heights)[:-1] * scale
    strips = correct_strips(iter(np.split(result.copy(), cuts)), lambda rows: unit[rows], height, scale)
    np.testing.assert_allclose(np.concatenate(list(strips)), np.stack(expected, axis=2), atol=1e-5)


def test_a_shift_that_varies_over_the_image_is_taken_back(fundus: np.ndarray) -> None:
    """One that is 16 of 255 at one side and -16 at the other, other in every channel: to a grey level, inside."""
    truth = fundus.astype(np.float32) / 255
    ramp = np.linspace(-16, 16, truth.shape[1], dtype=np.float32)[:, None] * np.array([1, -0.5, 0.2], np.float32) / 255
    result = truth + ramp
    keep_intensities(result, _reduced(truth, 2), 2)
    inside = np.s_[16:-16, 16:-16]
    assert np.abs(result - truth)[inside].max() * 255 < 1


def test_fine_detail_is_not_touched(fundus: np.ndarray) -> None:
    """What is finer than the Gaussian stays to within a twentieth of it, whether the input has it or not."""
    unit = gaussian_filter(fundus.astype(np.float32) / 255, (6, 6, 0))[::2, ::2]
    broad = np.repeat(np.repeat(unit, 2, 0), 2, 1)
    period = 8  # 4 low-resolution pixels
    stripes = 0.1 * np.sin(np.arange(broad.shape[1], dtype=np.float32) * 2 * np.pi / period)[:, None]
    result = (broad + stripes).astype(np.float32)
    keep_intensities(result, unit, 2)
    changed = np.abs(result - broad - stripes)
    assert changed[:, 72:-72].max() < 0.005
    assert changed.max() < 0.03  # where half a period is cut off


@pytest.mark.parametrize("blur", [0.5, 1.0, 1.4])
def test_blur_beside_an_edge_is_not_taken_for_brightness(blur: float) -> None:
    """A perfect result of a blurred input, 200 grey levels at an edge: at most half a level is changed at sigma 1."""
    truth = np.full((96, 192, 1), 20 / 255, np.float32)
    truth[:, 97:] = 220 / 255
    unit = gaussian_filter(_reduced(truth, 2), (blur, blur, 0))
    result = truth.copy()
    keep_intensities(result, unit, 2)
    assert np.abs(result - truth).max() * 255 < (0.5 if blur <= 1 else 1)


def test_the_bundled_model_keeps_its_detail_and_the_images_mean(fundus: np.ndarray) -> None:
    unit = fundus.astype(np.float32)[:200, :180] / 255
    output, kept = (open_model("medsr-retina-x2", consistency=one)(unit, 2) for one in (False, True))
    assert np.abs(output - kept).max() * 255 < 4
    errors = [np.abs(gaussian_filter(_reduced(one, 2) - unit, (SIGMA, SIGMA, 0))).mean() for one in (output, kept)]
    assert errors[1] < errors[0] / 2


@pytest.fixture(scope="module")
def shifting(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundled model, spoilt: 30 grey levels less blue."""
    path = tmp_path_factory.mktemp("weights") / "shifting.safetensors"
    net, spec = checkpoint.load(weight_store.get("medsr-retina-x2").path)
    with torch.no_grad():
        net.conv_last.bias[2] -= 30 / 255
    checkpoint.save(path, net.state_dict(), spec)
    return convert(path)


@pytest.mark.slow
def test_weights_that_shift_colours_give_results_of_the_same_colours(
    shifting: Path, tmp_path: Path, fundus: np.ndarray
) -> None:
    source = write_png(tmp_path / "eye.png", fundus[100:160, 100:180])
    inputs = image_io.read(source).pixels.mean((0, 1))
    shifts = {}
    for name, consistency in (("kept", True), ("made", False)):
        medsr.upscale(source, tmp_path / name, model=shifting, consistency=consistency)
        shifts[name] = image_io.read(tmp_path / name / "eye.png").pixels.mean((0, 1)) - inputs
        summary = json.loads((tmp_path / name / "upscale.json").read_text())["results"]["eye.png"]["parameters"]
        assert summary["consistency"] is consistency
        assert [one.same for one in medsr.reproduce(tmp_path / name / "upscale.json", model=shifting)] == [True]
    assert shifts["made"][2] < -25
    assert np.abs(shifts["kept"]).max() < 0.3


def test_a_result_of_before_is_made_again_without_it(shifting: Path, tmp_path: Path, fundus: np.ndarray) -> None:
    """Older sidecars do not say: there was no consistency."""
    source = write_png(tmp_path / "eye.png", fundus[:40, :40])
    medsr.upscale(source, tmp_path / "out", model=shifting, consistency=False)
    sidecar = tmp_path / "out/upscale.json"
    summary = json.loads(sidecar.read_text())
    del summary["results"]["eye.png"]["parameters"]["consistency"]
    sidecar.write_text(json.dumps(summary))
    assert [one.same for one in medsr.reproduce(sidecar, model=shifting)] == [True]


def test_evaluate_measures_both_ways(shifting: Path, tmp_path: Path, fundus: np.ndarray) -> None:
    write_png(tmp_path / "truth/eye.png", fundus[:96, :96])
    scores = {}
    for consistency in (True, False):
        measured = medsr.evaluate("folder", tmp_path / "truth", models=[shifting], consistency=consistency)
        scores[consistency] = next(row["psnr"] for row in measured.to_json()["images"] if "shifting" in str(row))
    assert scores[True] > scores[False] + 3
    with pytest.raises(UsageError, match="none is measured"):
        medsr.evaluate("folder", tmp_path / "truth", models=["bicubic"], consistency=False)
