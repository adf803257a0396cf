"""Perceptual distances against their authors' programs, with weights of any kind; against published figures."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import PIL.Image
import pytest
import torch

from medsr.core.errors import WeightsError
from medsr.degradation import matlab
from medsr.metrics import perceptual
from medsr.networks import weight_store


@pytest.fixture
def alexnet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, torch.Tensor]:
    """AlexNet with random weights, brought in the place of the real ones."""
    from torchvision.models import alexnet as build

    torch.manual_seed(0)
    state = {name: value for name, value in build(weights=None).state_dict().items() if name.startswith("features.")}
    path = tmp_path / "alexnet.pth"
    torch.save(state, path)
    entry = weight_store.get("alexnet")
    entry.path.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(path, entry.path)
    monkeypatch.setattr(weight_store, "check", lambda *_: None)
    return state


def test_without_weights_there_is_no_perceptual_distance() -> None:
    assert all(perceptual.distance(metric) is None for metric in perceptual.METRICS)
    assert perceptual.at_hand() == []
    assert perceptual.absent("dists") == ["vgg16", "dists"]


@pytest.mark.slow
def test_a_file_that_is_not_alexnet_is_refused() -> None:
    path = weight_store.get("alexnet").path
    path.parent.mkdir(parents=True)
    path.write_bytes(b"something else")
    with pytest.raises(WeightsError, match="alexnet"):
        perceptual.distance("lpips")


def _vgg16() -> SimpleNamespace:
    """New random weights of what is used of VGG16: its classifier, seven times as large, takes seconds to make."""
    from torchvision.models.vgg import cfgs, make_layers

    return SimpleNamespace(features=make_layers(cfgs["D"]))


def test_lpips_on_vgg16_is_that_of_its_authors_program(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fundus: np.ndarray
) -> None:
    import torchvision
    from lpips import LPIPS

    torch.manual_seed(0)
    network = _vgg16()
    monkeypatch.setattr(torchvision.models, "vgg16", lambda **_: _vgg16())  # others each time, until they are loaded
    state = {f"features.{name}": tensor for name, tensor in network.features.state_dict().items()}
    path = weight_store.get("vgg16").path
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(state, path)
    monkeypatch.setattr(weight_store, "check", lambda *_: None)
    measure = perceptual.distance("lpips_vgg")
    assert measure is not None
    unit = fundus[:64, :64].astype(np.float32) / 255
    other = np.roll(unit, 3, axis=0)
    reference = LPIPS(net="vgg", pnet_rand=True, verbose=False)
    slices = {name: tensor for number in range(1, 6) for name, tensor in _slice(reference.net, number, state)}
    reference.net.load_state_dict(slices)
    pair = [torch.from_numpy(np.moveaxis(image, 2, 0)[None] * 2 - 1) for image in (other, unit)]
    assert measure(other, unit) == pytest.approx(float(reference(*pair)), rel=1e-5)


def _slice(net: torch.nn.Module, number: int, state: dict[str, torch.Tensor]) -> list[tuple[str, torch.Tensor]]:
    layers = getattr(net, f"slice{number}").state_dict()
    return [(f"slice{number}.{name}", state[f"features.{name}"]) for name in layers]


def test_lpips_is_that_of_its_authors_program(alexnet: dict[str, torch.Tensor], fundus: np.ndarray) -> None:
    from lpips import LPIPS

    measure = perceptual.distance("lpips")
    assert measure is not None
    unit = fundus[:96, :96].astype(np.float32) / 255
    other = np.clip(unit + np.random.default_rng(0).normal(0, 0.1, unit.shape), 0, 1).astype(np.float32)
    assert measure(unit, unit) == pytest.approx(0, abs=1e-6)
    assert measure(other, unit) > 0
    assert measure(other[:, :, :1], unit[:, :, :1]) > 0

    reference = LPIPS(net="alex", pnet_rand=True, verbose=False)
    layers = [layer for number in range(1, 6) for layer in getattr(reference.net, f"slice{number}")]
    assert len(layers) == 12
    for number, layer in enumerate(layers):
        if isinstance(layer, torch.nn.Conv2d):
            layer.load_state_dict({part: alexnet[f"features.{number}.{part}"] for part in ("weight", "bias")})
    pair = [torch.from_numpy(np.moveaxis(image, 2, 0)[None] * 2 - 1) for image in (other, unit)]
    assert measure(other, unit) == pytest.approx(float(reference(*pair)), rel=1e-5)


def _bring(name: str, state: dict[str, torch.Tensor], monkeypatch: pytest.MonkeyPatch) -> None:
    """Weights in the place of the real ones."""
    path = weight_store.get(name).path
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(state, path)
    monkeypatch.setattr(weight_store, "check", lambda *_: None)


@pytest.mark.slow
def test_dists_is_that_of_its_authors_program(fundus: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    import torchvision
    from DISTS_pytorch import DISTS

    torch.manual_seed(0)
    network = _vgg16()
    weights = {name: torch.rand(1, 1475, 1, 1) for name in ("alpha", "beta")}
    features = {f"features.{name}": tensor for name, tensor in network.features.state_dict().items()}
    _bring("vgg16", features, monkeypatch)
    _bring("dists", weights, monkeypatch)
    measure = perceptual.distance("dists")
    assert measure is not None
    monkeypatch.setattr(torchvision.models, "vgg16", lambda **_: network)
    reference = DISTS(load_weights=False)
    reference.alpha.data, reference.beta.data = weights["alpha"], weights["beta"]

    unit = fundus[:97, :110].astype(np.float32) / 255  # odd sizes, too
    noisy = np.clip(unit + np.random.default_rng(0).normal(0, 0.1, unit.shape), 0, 1).astype(np.float32)
    for other in (noisy, np.roll(unit, 9, axis=1), np.zeros_like(unit)):
        pair = [torch.from_numpy(np.moveaxis(image, 2, 0)[None].copy()) for image in (other, unit)]
        assert measure(other, unit) == pytest.approx(float(reference(*pair)), abs=2e-6)
    assert measure(unit, unit) == pytest.approx(0, abs=1e-6)
    assert measure(noisy[:, :, :1], unit[:, :, :1]) > 0


def test_weights_of_something_else_are_no_dists(monkeypatch: pytest.MonkeyPatch) -> None:
    _bring("vgg16", {"features.0.weight": torch.zeros(64, 3, 3, 3)}, monkeypatch)
    _bring("dists", {"alpha": torch.zeros(1, 7, 1, 1), "beta": torch.zeros(1, 7, 1, 1)}, monkeypatch)
    with pytest.raises(WeightsError, match="fetch them again"):
        perceptual.distance("dists")


@pytest.mark.slow
def test_lpips_of_set5_is_the_published_figure(real_data: Path) -> None:
    """Bicubic, x4, all channels: 0.3407 (Ma et al., CVPR 2020, table 1). Needs the real weights: one download."""
    from medsr.networks import converted

    entry = weight_store.get("alexnet")
    if not entry.path.is_file():
        converted.fetch(entry)
    measure = perceptual.distance("lpips")
    assert measure is not None
    distances = []
    for path in sorted((real_data / "classic" / "Set5" / "image_SRF_4").glob("*_HR.png")):
        pair = [PIL.Image.open(name).convert("RGB") for name in (path, str(path).replace("_HR", "_LR"))]
        ground_truth, low = (np.asarray(image, np.float32) / 255 for image in pair)
        enlarged = np.rint(matlab.bicubic(low, ground_truth.shape[:2]).clip(0, 1) * 255) / 255
        distances.append(measure(enlarged.astype(np.float32), ground_truth))
    assert len(distances) == 5
    assert np.mean(distances) == pytest.approx(0.3407, abs=2e-4)
