"""Every generator has its paper's size to the last parameter, and works wherever a generator does."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

import medsr
from medsr.core.errors import UsageError, WeightsError
from medsr.engines import conversion
from medsr.engines.base import Compute
from medsr.engines.openvino_engine import OpenvinoEngine
from medsr.engines.torch_engine import TorchEngine
from medsr.io.images import image as image_io
from medsr.networks import checkpoint
from medsr.networks.architectures import ARCHITECTURES, GENERATORS
from medsr.recipe.schema import TAGS
from medsr.volumes.models import open_model
from tests.helpers.images import write_png
from tests.helpers.models import EVERY, SMALL


@pytest.mark.parametrize(
    ("name", "scale", "parameters"),
    [
        ("rrdb", 4, 16_697_987),
        ("srresnet", 2, 1_401_749),
        ("srresnet", 3, 1_586_389),
        ("srresnet", 4, 1_549_462),
        ("residual-in-residual", 2, 1_551_235),
        ("residual-in-residual", 4, 1_699_011),
        ("rrdn", 2, 16_644_128),  # published as 16,644k
        ("rrdn", 4, 16_644_548),  # published as 16,645k
    ],
)
def test_the_published_number_of_parameters(name: str, scale: int, parameters: int) -> None:
    net = ARCHITECTURES[name].build(scale)
    assert sum(one.numel() for one in net.parameters() if one.requires_grad) == parameters


def test_every_generator_a_recipe_may_name_can_be_built() -> None:
    for entry in GENERATORS:
        assert entry.build(entry.scales[0], 1, **TAGS[entry.name]().sizes).parameters()  # type: ignore[attr-defined]


def _saved(name: str, scale: int, folder: Path) -> tuple[Path, torch.nn.Module]:
    torch.manual_seed(2)
    spec = checkpoint.Spec(name, scale, 3, SMALL[name])
    net = spec.build()
    for module in net.modules():  # as after training
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.running_mean, -0.1, 0.1)  # type: ignore[arg-type]
            torch.nn.init.uniform_(module.running_var, 0.5, 1.5)  # type: ignore[arg-type]
    path = folder / f"{name}.safetensors"
    checkpoint.save(path, net.state_dict(), spec)
    return path, net.eval()


@pytest.mark.parametrize(("name", "scale"), EVERY)
def test_saved_detected_loaded_it_gives_the_same(name: str, scale: int, tmp_path: Path) -> None:
    path, net = _saved(name, scale, tmp_path)
    inputs = torch.rand(1, 3, 12, 20)
    again, spec = checkpoint.load(path)
    assert spec == checkpoint.Spec(name, scale, 3, SMALL[name])
    with torch.inference_mode():
        expected = net(inputs)
        assert expected.shape == (1, 3, 12 * scale, 20 * scale)
        torch.testing.assert_close(again(inputs), expected, rtol=0, atol=0)


@pytest.mark.parametrize("name", [name for name in SMALL if name != "rrdb"])
def test_openvino_agrees(name: str, tmp_path: Path) -> None:
    scale = 4
    path, net = _saved(name, scale, tmp_path)
    spec = checkpoint.load(path)[1]
    model = conversion.to_openvino(conversion.to_onnx(net, spec))
    card = conversion.card_of(name, "0", spec, {})
    inputs = np.random.default_rng(0).random((1, 3, 20, 28), dtype=np.float32)
    theirs, ours = TorchEngine(net)(inputs), OpenvinoEngine(model, card)(inputs)
    np.testing.assert_allclose(ours, theirs, atol=1e-4)


@pytest.mark.parametrize(("name", "scale"), [("srresnet", 3), ("residual-in-residual", 2), ("rdn", 3), ("rrdn", 8)])
def test_an_image_of_any_size_goes_through(name: str, scale: int, tmp_path: Path, fundus: np.ndarray) -> None:
    path, _ = _saved(name, scale, tmp_path)
    source = write_png(tmp_path / "eye.png", fundus[:51, :37])
    [done] = medsr.upscale(source, tmp_path / "out", model=path, device="cpu", engine="torch")
    assert done.error is None
    assert image_io.read(done.output).pixels.shape == (51 * scale, 37 * scale, 3)
    whole, tiled = (open_model(path, Compute("cpu", "torch"), tile) for tile in (0, 40))
    unit = image_io.read(source).to_unit()
    np.testing.assert_allclose(tiled(unit, scale), whole(unit, scale), atol=1e-3)


@pytest.mark.usefixtures("without_curves")
@pytest.mark.parametrize("name", [name for name in SMALL if name != "rrdb"])
def test_it_trains_from_a_recipe(name: str, tmp_path: Path, fundus: np.ndarray) -> None:
    for number in range(4):
        write_png(tmp_path / "truth" / f"{number}.png", fundus[number * 40 : number * 40 + 90, :90])
    recipe = {
        "name": "x",
        "scale": 2,
        "generator": {"name": name, **SMALL[name]},
        "data": {"crop": 32, "degrade_crop": 48, "validation": 0.25, "workers": 0},
        "degradation": {"name": "high-order", "pool": 0, "first": {"resize_range": [0.5, 1.5]}},
        "losses": {"l1": {"weight": 1.0, "sharpened": False}},
        "iterations": 3,
        "batch": 2,
    }
    (tmp_path / "recipe.yml").write_text(yaml.safe_dump(recipe))
    done = medsr.finetune(tmp_path / "recipe.yml", tmp_path / "truth", out=tmp_path / "run", device="cpu")
    net, spec = checkpoint.load(done.model)
    assert spec.architecture == name
    before = spec.build().state_dict().keys()
    assert net.state_dict().keys() == before


def test_a_scale_a_generator_cannot_do_is_refused(tmp_path: Path) -> None:
    recipe = tmp_path / "x.yml"
    recipe.write_text("name: x\nscale: 3\niterations: 1\ndata: {crop: 48}\n")
    with pytest.raises(UsageError, match="scale: 3, rrdb does 1, 2, 4"):
        medsr.finetune(recipe, tmp_path)
    path = tmp_path / "bad.safetensors"
    spec = checkpoint.Spec("srresnet", 2, 3, SMALL["srresnet"])
    checkpoint.save(path, spec.build().state_dict(), checkpoint.Spec("srresnet", 7, 3, SMALL["srresnet"]))
    with pytest.raises(WeightsError, match="scale 7"):
        checkpoint.load(path)
