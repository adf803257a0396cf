"""Weights of others: however they are wrapped, the same network comes out; what is not weights is refused."""

from __future__ import annotations

import argparse
import pickle
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from medsr import recipe as recipes
from medsr.core.errors import WeightsError
from medsr.networks import checkpoint
from medsr.networks.interpolate import interpolate
from medsr.training import initial_weights
from tests.helpers.models import TINY

Wrapped = dict[str, Any]


def _state(seed: int = 0) -> dict[str, torch.Tensor]:
    torch.manual_seed(seed)
    return dict(TINY.build().state_dict())


def _prefixed(prefix: str, state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {prefix + name: tensor for name, tensor in state.items()}


def _lightning(state: dict[str, torch.Tensor]) -> Wrapped:
    beside = {"discriminator.conv0.weight": torch.zeros(2, 3, 3, 3), "loss.vgg.0.weight": torch.zeros(2)}
    inside = OrderedDict(_prefixed("generator.", state) | beside)
    return {"state_dict": inside, "epoch": 3, "pytorch-lightning_version": "2.4.0", "loops": {}, "lr_schedulers": []}


def _averaged_model(state: dict[str, torch.Tensor]) -> Wrapped:
    return {"n_averaged": torch.tensor(4), **_prefixed("module.", state)}


def _ema_wrapper(state: dict[str, torch.Tensor]) -> Wrapped:
    return {"initted": torch.tensor(True), **_prefixed("online_model.", _state(9)), **_prefixed("ema_model.", state)}


WRAPPED = {
    "compiled": lambda state: _prefixed("_orig_mod.", state),
    "compiled within": lambda state: {
        name.replace("body.0.", "body.0._orig_mod."): tensor for name, tensor in state.items()
    },
    "parallel": lambda state: {"params": _prefixed("module.", state)},
    "both": lambda state: {"model": _prefixed("module._orig_mod.", state)},
    "lightning": _lightning,
    "net_g": lambda state: {"net_g": state, "net_d": {"conv0.weight": torch.zeros(1)}, "iter": 7},
    "net_g in params": lambda state: {"net_g": {"params": _state(9), "params_ema": state}},
    "generator": lambda state: {"generator": state, "discriminator": {"conv0.weight": torch.zeros(1)}},
    "averaged": lambda state: {"params": _state(9), "params_ema": state},
    "shadow": lambda state: {"model": _state(9), "ema": {"shadow": state, "decay": 0.999}},
    "AveragedModel": _averaged_model,
    "ema wrapper": _ema_wrapper,
    "numpy numbers": lambda state: {"params": state, "psnr": np.float64(31.5), "best": np.float32(1), "n": np.int64(3)},
    "half": lambda state: {name: tensor.half() for name, tensor in state.items()},
    "bfloat16": lambda state: {name: tensor.bfloat16() for name, tensor in state.items()},
}


@pytest.mark.parametrize("name", WRAPPED)
def test_however_they_are_wrapped_the_same_weights_load(name: str, tmp_path: Path) -> None:
    state = _state()
    wrapped = WRAPPED[name](state)
    torch.save(wrapped, tmp_path / "a.ckpt")
    net, spec = checkpoint.load(tmp_path / "a.ckpt")
    assert spec == TINY
    kinds = {"half": torch.float16, "bfloat16": torch.bfloat16}
    for key, tensor in net.state_dict().items():
        assert tensor.dtype == torch.float32
        assert torch.equal(tensor, state[key].to(kinds.get(name, torch.float32)).float()), key


def test_the_discriminator_of_a_file_with_both_is_found(tmp_path: Path) -> None:
    torch.save({"net_g": _state(), "net_d": {"conv0.weight": torch.ones(2)}}, tmp_path / "gan.pt")
    assert set(checkpoint.read_state(tmp_path / "gan.pt", "discriminator")[0]) == {"conv0.weight"}


def test_prefixes_in_safetensors(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    state = _state()
    save_file(_prefixed("net_g.", state), tmp_path / "a.safetensors")
    assert torch.equal(
        checkpoint.load(tmp_path / "a.safetensors")[0].state_dict()["conv_hr.bias"], state["conv_hr.bias"]
    )


class _Evil:
    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (Path("ran"),))


def test_what_could_run_code_is_refused_for_that_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for content in (TINY.build(), {"params": _state(), "args": argparse.Namespace(lr=1)}, {"a": _Evil()}):
        torch.save(content, tmp_path / "unsafe.pth")
        with pytest.raises(WeightsError, match=r"unsafe\.pth: holds more than weights \([\w.]+\); .*safe to open"):
            checkpoint.load(tmp_path / "unsafe.pth")
    (tmp_path / "array.pth").write_bytes(pickle.dumps({"params": np.array([_Evil()], dtype=object)}))
    with pytest.raises(WeightsError, match=r"array\.pth"):
        checkpoint.load(tmp_path / "array.pth")
    assert not (tmp_path / "ran").exists()
    torch.jit.trace(torch.nn.Conv2d(3, 3, 3), torch.zeros(1, 3, 8, 8)).save(str(tmp_path / "script.pt"))
    with pytest.raises(WeightsError, match="a TorchScript program, not weights"):
        checkpoint.load(tmp_path / "script.pt")


def _esrgan(scale: int, shuffled: bool = False) -> Any:
    from spandrel.architectures.ESRGAN import ESRGAN

    torch.manual_seed(3)
    more = {"in_nc": 12, "shuffle_factor": 2} if shuffled else {}
    return ESRGAN(num_filters=8, num_blocks=2, scale=scale, **more).eval()


BSRGAN = {"body": "RRDB_trunk", "rdb": "RDB", "conv_body": "trunk_conv", "conv_up": "upconv", "conv_hr": "HRconv"}


@pytest.mark.parametrize("form", ["oldest", "BSRGAN"])
def test_the_old_names_of_esrgan_compute_as_spandrel_and_start_a_fine_tune(form: str, tmp_path: Path) -> None:
    net = _esrgan(4)
    path = tmp_path / "old.pth"
    torch.save(net.state_dict(), path)
    if form == "BSRGAN":
        renamed = {}
        for name, tensor in checkpoint.read_state(path)[0].items():
            for new, old in BSRGAN.items():
                name = name.replace("body.", "RRDB_trunk.") if new == "body" and name.startswith("body.") else name
                name = name if new == "body" else name.replace(new, old)
            renamed[name] = tensor
        assert {"RRDB_trunk.0.RDB1.conv1.weight", "trunk_conv.bias", "HRconv.weight", "upconv2.bias"} <= set(renamed)
        torch.save(renamed, path)
    ours, spec = checkpoint.load(path)
    assert spec == checkpoint.Spec("rrdb", 4, 3, {"features": 8, "blocks": 2, "growth": 32})
    image = torch.rand(1, 3, 19, 23)
    with torch.inference_mode():
        assert torch.allclose(ours(image), net(image), atol=1e-6)
    interpolate(path, path, 0.5, tmp_path / "between.safetensors")  # and everything else that takes weights
    changes = ["scale=4", "generator.features=8", "generator.blocks=2", f"start_from.generator={path}"]
    recipe = recipes.load("demo_retina", [*changes, "start_from.matching=false"])
    begun, _, _ = initial_weights.generator(recipe, path)
    assert torch.equal(begun.state_dict()["conv_up2.weight"], ours.state_dict()["conv_up2.weight"])


def test_an_old_esrgan_that_enlarges_once_stays_another_projects(tmp_path: Path) -> None:
    torch.save(_esrgan(2).state_dict(), tmp_path / "x2.pth")
    net, spec = checkpoint.load(tmp_path / "x2.pth")
    assert spec == checkpoint.Spec("spandrel:ESRGAN", 2, 3)
    image = torch.rand(1, 3, 16, 16)
    with torch.inference_mode():
        assert torch.allclose(net(image), _esrgan(2)(image), atol=1e-6)
