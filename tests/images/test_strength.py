"""Of a network's change a sharp input gets less; how sharp it is, its spectrum says."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter

import medsr
from medsr.commands.cohort.build_plan import complete_options
from medsr.commands.cohort.options import complete
from medsr.commands.reproduce import reproduce
from medsr.core.errors import UsageError
from medsr.core.resample import resize
from medsr.core.resources import resource_dir
from medsr.engines.base import Compute
from medsr.images import bands
from medsr.images.consistency import keep_intensities
from medsr.images.network import Network
from medsr.images.sharpness import SMALLEST, sharpness
from medsr.images.strength import TERMS, Strength, blend_with_bicubic
from medsr.io.images import image as image_io
from medsr.networks import weight_store
from medsr.volumes.models import open_model
from tests.helpers.dicom import write_xray
from tests.helpers.images import write_png

PLAIN = Compute("cpu", "torch", "fp32")
MODELS = ("medsr-retina-x2", "medsr-cxr-x2", "medsr-cxr-x4")
"""Those that take a share of their change."""


def _numbers(image: np.ndarray) -> tuple[float, float]:
    numbers = sharpness(lambda rows: image[rows], image.shape)
    assert numbers is not None
    return numbers


def _low(image: np.ndarray, scale: int, blur: float) -> np.ndarray:
    low = resize(image, (image.shape[0] // scale, image.shape[1] // scale), "bicubic")
    if blur:
        low = gaussian_filter(low, (blur, blur, 0))
    return (np.clip(np.round(low * 255), 0, 255) / 255).astype(np.float32)


@pytest.fixture
def unit(fundus: np.ndarray) -> np.ndarray:
    return fundus[: fundus.shape[0] // 4 * 4, : fundus.shape[1] // 4 * 4].astype(np.float32) / 255


def test_blur_takes_the_first_number_down_and_noise_holds_the_second_up(unit: np.ndarray) -> None:
    numbers = [_numbers(_low(unit, 2, blur)) for blur in (0, 0.5, 0.8, 1.0, 1.4)]
    first = [fine for fine, _ in numbers]
    assert first[:4] == sorted(first[:4], reverse=True)
    assert first[0] - max(first[3:]) > 2  # of sigma 1.4 rounding to 8 bits is what is left there
    blurred = _low(unit, 2, 1.4)
    noisy = blurred + np.random.default_rng(0).normal(0, 2 / 255, blurred.shape).astype(np.float32)
    assert _numbers(noisy)[1] > _numbers(blurred)[1] + 1


def test_brightness_and_a_background_hardly_change_the_numbers(unit: np.ndarray) -> None:
    fine, finest = _numbers(unit)
    darker = _numbers(0.5 * unit)
    assert darker[0] == pytest.approx(fine, abs=0.01)
    assert darker[1] == pytest.approx(finest + 2 * np.log(0.5), abs=0.01)
    padded = np.pad(unit, ((0, 0), (0, unit.shape[1]), (0, 0)))
    assert _numbers(padded) == pytest.approx((fine, finest), abs=0.5)


def test_of_an_image_too_small_nothing_is_told() -> None:
    small = np.zeros((SMALLEST - 1, 500, 3), np.float32)
    assert sharpness(lambda rows: small[rows], small.shape) is None
    assert Strength((0.5, 1.0, 0, 0, 0, 0), (-9, 9), (-20, 0)).of(lambda rows: small[rows], small.shape) == 1
    flat = np.full((60, 70, 1), 0.3, np.float32)
    assert np.isfinite(_numbers(flat)).all()


def test_the_share_stays_between_nothing_and_all_and_within_what_was_fitted() -> None:
    steep = Strength((0.5, -1.0, 0, 0, 0, 0), (-5.0, -3.0), (-16, -12))
    assert steep.share([-99, -5, -4, -3.75, -3, 99], [-14] * 6).tolist() == [1, 1, 0.5, 0.25, 0, 0]


@pytest.mark.parametrize(
    "stored", [None, [], {}, {"coefficients": [1]}, "x", {"coefficients": 3, "fine": 1, "finest": 2}]
)
def test_a_damaged_record_is_none(stored: object) -> None:
    assert Strength.read(stored) is None
    whole = Strength((0.5, *(TERMS - 1) * (0.1,)), (-5, -3), (-16, -12))
    assert Strength.read(whole.as_dict()) == whole
    assert Strength.read(whole.as_dict() | {"fine": [float("nan"), 1]}) is None


@settings(max_examples=20, deadline=None)
@given(
    heights=st.lists(st.integers(1, 30), min_size=1, max_size=5),
    scale=st.sampled_from([1, 2, 3, 4]),
    share=st.floats(0, 1),
)
def test_a_share_lies_between_interpolation_and_the_result(heights: list[int], scale: int, share: float) -> None:
    rng = np.random.default_rng(0)
    low = rng.random((sum(heights), 9, 3)).astype(np.float32)
    result = rng.random((scale * len(low), scale * 9, 3)).astype(np.float32)
    strips = np.split(result.copy(), scale * np.cumsum(heights)[:-1])
    weaker = np.concatenate(list(blend_with_bicubic(iter(strips), lambda rows: low[rows], len(low), share)))
    plain = resize(low, result.shape[:2], "bicubic")
    np.testing.assert_allclose(weaker, plain + share * (result - plain), atol=1e-5)


def test_nothing_of_the_change_is_interpolation_and_all_of_it_the_network(unit: np.ndarray) -> None:
    low = _low(unit, 2, 0)
    model = open_model("medsr-retina-x2", PLAIN)
    assert isinstance(model, Network)
    model.strength = Strength.always(0)
    plain = resize(low, unit.shape[:2], "bicubic")
    keep_intensities(plain, low, 2)
    np.testing.assert_allclose(model(low, 2), plain, atol=1e-5)
    model.strength = Strength.always(1)
    all_of_it = model(low, 2)
    model.strength = None
    np.testing.assert_array_equal(model(low, 2), all_of_it)


@pytest.mark.parametrize("name", MODELS)
def test_a_bundled_model_changes_a_sharp_image_less_and_does_not_lose(name: str, unit: np.ndarray) -> None:
    """Against interpolation; all of the change lost up to half a dB on such an image."""
    model = open_model(name, PLAIN)
    assert isinstance(model, Network)
    truth = unit if model.channels == 3 else unit[:, :, 1:2]
    shares, gains = [], []
    for blur in (0.0, 1.0):
        low = _low(truth, model.scale, blur)
        plain = resize(low, truth.shape[:2], "bicubic")
        result = model(low, model.scale)
        shares.append(model.used_share or 0)
        gains.append(10 * np.log10(np.mean((plain - truth) ** 2) / np.mean((result - truth) ** 2)))
    assert 0 <= shares[0] < shares[1] <= 1
    assert min(gains) > -0.1


def test_the_sidecar_tells_the_share_and_reproduce_takes_it(tmp_path: Path, fundus: np.ndarray) -> None:
    path = write_png(tmp_path / "eye.png", fundus)

    def run(**options: float) -> tuple[np.ndarray, dict[str, object]]:
        [outcome] = medsr.upscale(path, tmp_path / "out", model="medsr-retina-x2", engine="torch", **options)  # type: ignore[arg-type]
        assert outcome.error is None
        sidecar = json.loads((tmp_path / "out" / "upscale.json").read_text())["results"]["eye.png"]["parameters"]
        return image_io.read(outcome.output).pixels, sidecar

    chosen, parameters = run()
    assert 0 < parameters["strength"] < 1  # type: ignore[operator]
    again, _ = run(strength=parameters["strength"])  # type: ignore[arg-type]
    np.testing.assert_array_equal(again, chosen)
    assert all(comparison.same for comparison in reproduce(tmp_path / "out" / "upscale.json"))
    everything, parameters = run(strength=1)
    assert parameters["strength"] == 1
    assert (everything != chosen).any()
    record = tmp_path / "out" / "upscale.json"
    summary = json.loads(record.read_text())
    del summary["results"]["eye.png"]["parameters"]["strength"]  # as sidecars were before
    record.write_text(json.dumps(summary))
    assert all(comparison.same for comparison in reproduce(record))


def test_the_result_says_that_a_sharp_image_is_changed_less(tmp_path: Path, fundus: np.ndarray) -> None:
    """Nothing where it gets all of the change, or the share that was asked for; and where nothing takes a share."""
    path = write_png(tmp_path / "eye.png", fundus)

    def notes(source: Path = path, model: str = "medsr-retina-x2", **options: float) -> str:
        [outcome] = medsr.upscale(source, tmp_path / "out", model=model, engine="torch", **options)  # type: ignore[arg-type]
        assert outcome.error is None
        return "; ".join(outcome.notes)

    assert re.search(r"the image is sharp already: \d\d% of the network's change is applied", notes())
    assert "applied" not in notes(strength=0.5)
    blurred = gaussian_filter(fundus, (2, 2, 0))
    assert "applied" not in notes(write_png(tmp_path / "blurred.png", blurred))
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)  # no fundus
    other = write_png(tmp_path / "noise.png", noise)
    assert "the strength is not used: interpolation has no network" in notes(other, model="auto", strength=0.5)
    assert "strength" not in notes(other, model="auto")


def test_the_first_frame_decides_for_all_and_reproduce_makes_them_again(tmp_path: Path, fundus: np.ndarray) -> None:
    grey = fundus[:128, :128, 1].astype(np.float32)
    frames = np.stack([gaussian_filter(grey, blur) for blur in (1.4, 0.0, 0.6)]).astype(np.uint16) * 16
    path = write_xray(tmp_path / "cine.dcm", frames[0])
    dataset = pydicom.dcmread(path)
    dataset.NumberOfFrames, dataset.PixelData = 3, frames.tobytes()
    dataset.save_as(path)
    options = {"model": "medsr-cxr-x4", "frames": "all", "engine": "torch", "precision": "fp32"}
    [outcome] = medsr.upscale(path, tmp_path / "out", **options)  # type: ignore[arg-type]
    assert outcome.error is None
    record = tmp_path / "out" / "upscale.json"
    [result] = json.loads(record.read_text())["results"].values()
    assert 0 <= result["parameters"]["strength"] <= 1
    assert all(comparison.same for comparison in reproduce(record))


@pytest.mark.parametrize("colour", [True, False])
def test_a_large_image_brought_to_another_factor_takes_one_share(
    tmp_path: Path, fundus: np.ndarray, monkeypatch: pytest.MonkeyPatch, colour: bool
) -> None:
    """Sharp above and blurred below: bands by themselves would take other shares."""
    picture = np.tile(fundus, (2, 1, 1))[:420, :70].astype(np.float32)
    picture[210:] = gaussian_filter(picture[210:], (1.4, 1.4, 0))
    picture = picture if colour else picture[:, :, 1:2].repeat(3, axis=2)
    path = write_png(tmp_path / "eye.png", picture.astype(np.uint8))
    results, shares = [], []
    for most in (bands.MOST, 1):
        monkeypatch.setattr(bands, "MOST", most)
        monkeypatch.setattr(bands, "FEWEST", 60)
        out = tmp_path / str(most)
        [outcome] = medsr.upscale(path, out, model="medsr-retina-x2", outscale=3, engine="torch", precision="fp32")
        results.append(image_io.read(outcome.output).pixels.astype(int))
        shares.append(json.loads((out / "upscale.json").read_text())["results"]["eye.png"]["parameters"]["strength"])
    assert shares[1] == pytest.approx(shares[0], abs=1e-3)
    assert np.abs(results[0] - results[1]).max() <= 1  # rounding


def test_interpolation_has_no_strength(tmp_path: Path, fundus: np.ndarray) -> None:
    path = write_png(tmp_path / "eye.png", fundus[:64, :64])
    with pytest.raises(UsageError, match="`strength`: is for networks; bicubic is an interpolation"):
        medsr.upscale(path, tmp_path / "out", model="bicubic", strength=0.5)


def test_a_cohort_refuses_a_share_before_it_begins_and_an_older_plan_takes_all(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"`strength=1.5`: expected a share from 0 to 1"):
        complete_options("upscale", {"model": "medsr-cxr-x2", "strength": 1.5})
    assert complete("upscale", {"consistency": True})["strength"] == 1
    assert complete("upscale", {"consistency": True, "strength": None})["strength"] is None
    assert complete("upscale", {})["strength"] is None


def test_a_share_that_is_none_or_without_consistency_is_refused(tmp_path: Path, fundus: np.ndarray) -> None:
    path = write_png(tmp_path / "eye.png", fundus[:64, :64])
    out = tmp_path / "out"
    with pytest.raises(UsageError, match=r"`strength=1.5`: expected a share from 0 to 1"):
        medsr.upscale(path, out, model="medsr-retina-x2", strength=1.5)
    with pytest.raises(UsageError, match="`strength`: needs consistent results"):
        medsr.upscale(path, out, model="medsr-retina-x2", strength=0.5, consistency=False)


def test_the_same_weights_have_it_whatever_their_name_and_form(tmp_path: Path) -> None:
    folder = resource_dir("pretrained")
    copy = Path(shutil.copy(folder / "medsr-cxr-x4.safetensors", tmp_path / "mine.safetensors"))
    forms = ["medsr-cxr-x4", copy, folder / "medsr-cxr-x4.onnx", folder / "medsr-cxr-x4.int8.xml"]
    models = [open_model(form, Compute("cpu", precision="auto")) for form in forms]
    strengths = {model.strength for model in models if isinstance(model, Network)}
    assert len(strengths) == 1
    assert strengths != {None}
    assert open_model("medsr-retina-x4", PLAIN).strength is None  # type: ignore[union-attr]


def test_the_manifest_has_the_strength_of_those_models() -> None:
    strengths = {name: Strength.read(entry.strength) for name, entry in weight_store.entries().items()}
    assert {name for name, strength in strengths.items() if strength} == set(MODELS)
