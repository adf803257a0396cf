"""The weights that come with medsr: as the manifest says, small, described, better than bicubic on unseen eyes."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import numpy as np
import pytest

from medsr.commands.export.run import export
from medsr.core.resample import resize
from medsr.core.resources import resource_dir
from medsr.degradation.protocols import bicubic_then_blur, crop_to_multiple
from medsr.degradation.slice_profile import matrix
from medsr.engines.base import Compute
from medsr.images.network import Interpolation
from medsr.io.files import sha256
from medsr.io.images import image as image_io
from medsr.io.volumes import volume as volume_io
from medsr.metrics import psnr_ssim
from medsr.networks import checkpoint, weight_store
from medsr.networks.architectures import condition_maps
from medsr.volumes.models import open_model, open_slice_model
from medsr.volumes.refine import Method, refine
from medsr.volumes.slice_models import SliceModel

IMAGES = 6
MIDDLE = 320
"""Rows and columns of the middle of an image, on which models are measured daily; on all of it in the slow tests."""


def test_every_bundled_file_is_in_the_manifest_small_and_has_its_card() -> None:
    bundled = sorted(resource_dir("pretrained").glob("*.safetensors"))
    known = {entry.file: entry for entry in weight_store.entries().values()}
    assert bundled
    for path in bundled:
        entry = known[path.name]
        assert entry.sha256
        assert len(entry.sha256) == 64
        weight_store.verify(entry)
        assert path.stat().st_size < 10_000_000
        card = path.with_suffix(".md").read_text()
        for heading in ("## Data and licence", "## Training", "## Figures", "## Limits"):
            assert heading in card


def middle(image: np.ndarray, side: int | None) -> np.ndarray:
    """`side` rows, columns and slices in the middle of all axes that are longer; all with None."""
    if side is None:
        return image
    starts = [max(0, (length - side) // 2) for length in image.shape]
    return image[tuple(slice(start, start + side) for start in starts)]


def _drive(folder: Path) -> list[np.ndarray]:
    paths = sorted((folder / "retina/DRIVE/test/images").glob("*.tif"))[:IMAGES]
    return [resize(image_io.read(path).to_unit(), (512, 512), "lanczos").clip(0, 1) for path in paths]


def _stare(folder: Path) -> list[np.ndarray]:
    paths = sorted((folder / "retina/STARE/images").glob("*.ppm"))[:IMAGES]
    return [crop_to_multiple(image_io.read(path).to_unit(), 4) for path in paths]


@pytest.mark.parametrize(
    ("images", "side"),
    [
        (_drive, MIDDLE),
        pytest.param(_drive, None, marks=pytest.mark.slow),
        pytest.param(_stare, None, marks=pytest.mark.slow),
    ],
)
def test_retina_x2_beats_bicubic_on_fundus_photographs_it_never_saw(
    images: object, side: int | None, real_data: Path
) -> None:
    """P1's retinal protocol, sigma 1: at least 1 dB and a higher SSIM on every image's mean."""
    model, baseline = open_model("medsr-retina-x2", Compute("cpu")), Interpolation("bicubic")
    gains = []
    for photograph in images(real_data):  # type: ignore[operator]
        truth = psnr_ssim.eight_bit(middle(photograph, side))
        low = bicubic_then_blur(truth, 2, 1.0)
        ours, bicubic = (psnr_ssim.eight_bit(one(low, 2)) for one in (model, baseline))
        gains.append(
            (
                psnr_ssim.psnr(ours, truth) - psnr_ssim.psnr(bicubic, truth),
                psnr_ssim.ssim(ours, truth) - psnr_ssim.ssim(bicubic, truth),
            )
        )
    psnr, ssim = np.mean(gains, axis=0)
    assert len(gains) == IMAGES
    assert psnr > 1.0
    assert ssim > 0


def _chests(folder: Path) -> list[np.ndarray]:
    """Of those not trained on: every second by name."""
    paths = sorted((folder / "chest/nih").glob("*.png"))[1::2]
    return [psnr_ssim.eight_bit(image_io.read(path).to_unit().mean(2, keepdims=True)) for path in paths[:IMAGES]]


@pytest.mark.parametrize("side", [MIDDLE, pytest.param(None, marks=pytest.mark.slow)])
@pytest.mark.parametrize(
    ("name", "least"),
    [("medsr-cxr-x2", 0.8), ("medsr-cxr-x4", 1.5)],
)
def test_chest_models_beat_bicubic_and_keep_the_brightness(
    name: str, least: float, side: int | None, real_data: Path
) -> None:
    """P1's chest protocol, sigma 1, on X-rays that were not trained on; no mean moves by half a grey level of 255."""
    model, baseline = open_model(name, Compute("cpu")), Interpolation("bicubic")
    assert model.scale
    gains = []
    for radiograph in _chests(real_data):
        truth = middle(radiograph, side)
        low = bicubic_then_blur(truth, model.scale, 1.0)
        ours, bicubic = (psnr_ssim.eight_bit(one(low, model.scale)) for one in (model, baseline))
        gains.append(psnr_ssim.psnr(ours, truth) - psnr_ssim.psnr(bicubic, truth))
        assert abs(float(ours.mean() - truth.mean())) * 255 < 0.5
    assert len(gains) == IMAGES
    assert np.mean(gains) > least


def test_retina_x2_keeps_the_brightness_of_every_colour(real_data: Path) -> None:
    """No image's mean intensity moves by more than half a grey level of 255, in the eye or in the black around it."""
    model = open_model("medsr-retina-x2", Compute("cpu"))
    for truth in _drive(real_data)[:3]:
        low = bicubic_then_blur(truth, 2, 1.0)
        shift = (model(low, 2).clip(0, 1).mean((0, 1)) - low.mean((0, 1))) * 255
        assert np.abs(shift).max() < 0.5


@pytest.mark.parametrize("name", ["MR_Gd", pytest.param("stroke_T2", marks=pytest.mark.slow), "FLAIR_1mm"])
@pytest.mark.parametrize("factor", [2, pytest.param(3, marks=pytest.mark.slow)])
def test_mri_beats_cubic_on_scans_it_never_saw(name: str, factor: int, real_data: Path) -> None:
    """Mean downsampling through-plane, the middle of the scan, foreground: at least 1 dB, whatever the contrast."""
    engine = open_slice_model("medsr-mri", Compute("cpu"))
    stored = volume_io.read(real_data / "mri/other" / f"{name}.nii.gz").stored
    middle = tuple(slice(n // 2 - 30, n // 2 + 30) for n in stored.shape)
    truth = stored[middle].astype(np.float32)
    thick = np.ascontiguousarray(truth @ matrix(60, 60 // factor).T.astype(np.float32))
    inside = truth > 0.05 * np.percentile(truth, 99.5)

    def error(model: SliceModel | None) -> float:
        result = refine(thick, truth.shape, model, Method()).stored
        return float(((result - truth)[inside] ** 2).mean())

    assert 10 * np.log10(error(None) / error(engine.model)) > 1.0


@pytest.mark.parametrize(
    ("name", "side"),
    [
        ("MR_Gd", 42),
        pytest.param("MR_Gd", 60, marks=pytest.mark.slow),
        pytest.param("FLAIR_1mm", 60, marks=pytest.mark.slow),
    ],
)
def test_the_learned_fusion_beats_the_mean_on_scans_it_never_saw(name: str, side: int, real_data: Path) -> None:
    """Factor 3, the middle of the scan, foreground: 0.05 dB and more, on heads with their skull too."""
    engine = open_slice_model("medsr-mri", Compute("cpu"))
    stored = volume_io.read(real_data / "mri/other" / f"{name}.nii.gz").stored
    truth = middle(stored, side).astype(np.float32)
    thick = np.ascontiguousarray(truth @ matrix(side, side // 3).T.astype(np.float32))
    inside = truth > 0.05 * np.percentile(truth, 99.5)

    def error(method: Method) -> float:
        result = refine(thick, truth.shape, engine.model, method).stored
        return float(((result - truth)[inside] ** 2).mean())

    assert 10 * np.log10(error(Method()) / error(Method(fuse="learned"))) > 0.05


BUNDLED = sorted(name for name, entry in weight_store.entries().items() if entry.suits)


@pytest.mark.parametrize("name", BUNDLED)
def test_every_bundled_model_can_be_published(name: str, tmp_path: Path) -> None:
    """Its OpenModelDB card names the files that are there, and says what the model card says first."""
    path = weight_store.get(name).path
    written = json.loads(path.with_suffix(".json").read_text())
    again = json.loads(export(name, "openmodeldb", out=tmp_path / "card.json").path.read_text())
    assert written == again
    assert {one["sha256"] for one in written["resources"]} == {sha256(path), sha256(path.with_suffix(".onnx"))}
    assert written["license"] == "BSD-3-Clause"
    assert date(2026, 1, 1) < date.fromisoformat(written["date"]) <= date.today()
    assert len(written["description"]) > 100


def test_a_card_for_weights_of_ones_own_leaves_what_only_they_know(tiny_model: Path, tmp_path: Path) -> None:
    card = export(tiny_model, "openmodeldb", out=tmp_path / "card.json").card
    assert (card["author"], card["license"], card["description"]) == ("", None, "")
    assert (card["architecture"], card["scale"], card["inputChannels"]) == ("esrgan", 2, 3)


@pytest.mark.parametrize("name", [*BUNDLED, "medsr-mri-fusion"])
def test_the_onnx_beside_the_weights_is_the_same_network(name: str) -> None:
    from medsr.engines import model_cache, openvino_engine, selection
    from medsr.engines.torch_engine import TorchEngine

    entry = weight_store.get(name)
    beside = entry.path.with_suffix(".onnx")
    assert sha256(beside) == entry.onnx_sha256
    model, card = openvino_engine.read(beside)
    assert card["sha256"] == entry.sha256
    net, spec = checkpoint.load(entry.path)
    channels = spec.channels + condition_maps(spec.architecture)
    given = np.random.default_rng(0).random((1, channels, 40, 56), dtype=np.float32)
    given[:, 1:] *= 0.5
    ours = openvino_engine.OpenvinoEngine(model, card)(given)
    np.testing.assert_allclose(ours, TorchEngine(net)(given), atol=1e-5)
    engine, found = selection.open_engine(entry.path, name, Compute("cpu", "openvino"))
    assert found == spec
    assert not model_cache.cache_path(str(entry.sha256), "fp32").is_file()  # nothing had to be converted
    assert engine.name == "openvino"
