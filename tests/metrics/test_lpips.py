from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from medsr.core.errors import WeightsError
from medsr.metrics import lpips
from medsr.networks import weight_store


@pytest.fixture
def alexnet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, torch.Tensor]:
    """AlexNet with random weights, brought in the place of the real ones."""
    from torchvision.models import alexnet as build

    torch.manual_seed(0)
    state = build(weights=None).state_dict()
    path = tmp_path / "alexnet.pth"
    torch.save(state, path)
    entry = weight_store.get("alexnet")
    entry.path.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(path, entry.path)
    monkeypatch.setattr(weight_store, "check", lambda *_: None)
    return state


def test_without_weights_there_is_no_lpips() -> None:
    assert lpips.lpips() is None


def test_a_file_that_is_not_alexnet_is_refused() -> None:
    path = weight_store.get("alexnet").path
    path.parent.mkdir(parents=True)
    path.write_bytes(b"something else")
    with pytest.raises(WeightsError, match="alexnet"):
        lpips.lpips()


def test_lpips_on_vgg16_is_that_of_its_authors_program(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fundus: np.ndarray
) -> None:
    from lpips import LPIPS
    from torchvision.models.vgg import cfgs, make_layers

    torch.manual_seed(0)
    state = {f"features.{name}": tensor for name, tensor in make_layers(cfgs["D"]).state_dict().items()}
    path = weight_store.get("vgg16").path
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(state, path)
    monkeypatch.setattr(weight_store, "check", lambda *_: None)
    measure = lpips.lpips("lpips_vgg")
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

    measure = lpips.lpips()
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
    pair = [torch.from_numpy(np.moveaxis(one, 2, 0)[None] * 2 - 1) for one in (other, unit)]
    assert measure(other, unit) == pytest.approx(float(reference(*pair)), rel=1e-5)
