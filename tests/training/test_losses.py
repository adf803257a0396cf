"""Losses: their formulas, on numbers anyone can check."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from torch.nn.functional import binary_cross_entropy_with_logits as bce

from medsr.commands.finetune import finetune
from medsr.core.errors import UsageError
from medsr.networks import weight_store
from medsr.recipe import Gan, Losses, Optimizer, load
from medsr.training.gan_losses import Adversarial, gradient_penalty
from medsr.training.loop import learning_rate
from medsr.training.losses import GeneratorLoss, gram
from tests.helpers.recipes import GAN, RECIPE
from tests.helpers.training import vgg19_state

RNG = np.random.default_rng

pytestmark = pytest.mark.usefixtures("without_curves")


def _losses(**settings: object) -> dict[str, torch.Tensor]:
    loss = GeneratorLoss(Losses.model_validate({"l1": {"weight": 0}} | settings), None, "cpu")
    result, truth = torch.full((2, 3, 16, 16), 0.5), torch.full((2, 3, 16, 16), 0.2)
    return loss(result, truth, None)


def test_pixel_losses() -> None:
    assert _losses(mse={"weight": 2})["mse"].item() == pytest.approx(2 * 0.09, rel=1e-5)
    measured = _losses(charbonnier={"weight": 1, "epsilon": 0.4})["charbonnier"].item()
    assert measured == pytest.approx(0.5, rel=1e-5)  # sqrt(0.3^2 + 0.4^2)
    assert _losses(l1={"weight": 3, "sharpened": False})["l1"].item() == pytest.approx(0.9, rel=1e-5)


def test_gram_matrices_do_not_know_places() -> None:
    features = torch.rand(2, 5, 6, 7)
    order = torch.randperm(42)
    shuffled = features.flatten(2)[:, :, order].reshape(2, 5, 6, 7)
    torch.testing.assert_close(gram(shuffled), gram(features))
    assert gram(features)[0, 1, 2].item() == pytest.approx(float((features[0, 1] * features[0, 2]).sum()) / (5 * 42))


class _Mean(torch.nn.Module):
    """A discriminator whose logit is ten times the image's mean."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return 10 * x.mean((1, 2, 3), keepdim=True).flatten(1)


def test_the_relativistic_average_compares_with_the_other_side() -> None:
    real, fake = torch.rand(4, 3, 8, 8), torch.rand(4, 3, 8, 8)
    judge, ones = _Mean(), torch.ones(4, 1)
    gan = Adversarial(Gan(weight=1.0, relativistic=True))
    true, false = judge(real), judge(fake)
    expected = (bce(true - false.mean(), ones) + bce(false - true.mean(), 0 * ones)) / 2
    [parts] = gan.of_discriminator(judge, real, fake, RNG(0))
    torch.testing.assert_close(sum(parts.values()), expected)
    expected = (bce(false - true.mean(), ones) + bce(true - false.mean(), 0 * ones)) / 2
    torch.testing.assert_close(gan.of_generator(judge, fake, real), expected)


def test_the_gradient_penalty_of_a_known_slope() -> None:
    real, fake = torch.rand(4, 3, 8, 8), torch.rand(4, 3, 8, 8)
    slope = 10 / 192 * 192**0.5  # of 192 pixels, each 10 / 192
    measured = gradient_penalty(_Mean(), real, fake, RNG(0))
    assert measured.item() == pytest.approx((slope - 1) ** 2, rel=1e-4)


def test_learning_rates_in_steps() -> None:
    settings = Optimizer(learning_rate=1e-3, schedule="step", step=10, factor=0.1)
    rates = [learning_rate(settings, iteration, 0.0) for iteration in (1, 10, 11, 20, 21)]
    assert rates == pytest.approx([1e-3, 1e-3, 1e-4, 1e-4, 1e-5])


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"losses": {"gan": {"weight": 1, "kind": "hinge", "relativistic": True}}}, "goes with kind vanilla or lsgan"),
        ({"losses": {"gan": {"weight": 1, "kind": "wgan-gp"}}}, "guard.won: must be 0"),
        ({"losses": {"texture": {"weight": 1, "layers": {"conv9_9": 1}}}}, "vgg19 does not have"),
        ({"losses": {"perceptual": {"network": "vgg16", "layers": {"conv3_4": 1}}}}, "vgg16 does not have 'conv3_4'"),
        ({"losses": {"perceptual": {"weight": 1, "layers": {}}}}, "at least one layer"),
        ({"losses": {"l1": {"weight": 0}}, "discriminator": None}, "every weight is 0"),
        ({"optimizer": {"schedule": "step"}}, "exactly with schedule step"),
        (
            {"discriminator": {"name": "attention-unet"}, "data": {"crop": 48}},
            "multiple of 32 .what attention-unet takes",
        ),
    ],
)
def test_settings_that_do_not_fit_are_refused(change: dict[str, object], said: str, tmp_path: Path) -> None:
    (tmp_path / "x.yml").write_text(yaml.safe_dump(RECIPE | GAN | change))
    with pytest.raises(UsageError, match=said):
        load(tmp_path / "x.yml")


@pytest.fixture
def vgg19(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """VGG19 with random weights: the real ones are not here."""
    path = tmp_path / "vgg19.pth"
    torch.save(vgg19_state(), path)
    entries = weight_store.locate
    monkeypatch.setattr(weight_store, "locate", lambda name: path if name == "vgg19" else entries(name))
    return path


@pytest.mark.slow
def test_features_after_their_relu_and_textures(vgg19: Path) -> None:
    settings = {
        "l1": {"weight": 0},
        "perceptual": {
            "weight": 1,
            "layers": {"conv1_1": 1},
            "activation": "after",
            "criterion": "mse",
            "sharpened": False,
        },
        "texture": {"weight": 1, "layers": {"conv1_1": 1}},
    }
    loss = GeneratorLoss(Losses.model_validate(settings), {"vgg19": vgg19}, "cpu")
    result, truth = torch.rand(2, 3, 16, 16), torch.rand(2, 3, 16, 16)
    ours, theirs = (loss.features["vgg19"](one)["relu1_1"] for one in (result, loss.target("perceptual", truth)))
    measured = loss(result, truth, None)
    assert ours.min() >= 0
    torch.testing.assert_close(measured["perceptual"], (ours - theirs).square().mean())
    textures = gram(ours) - gram(loss.features["vgg19"](truth)["relu1_1"])
    torch.testing.assert_close(measured["texture"], textures.abs().mean())


@pytest.mark.parametrize("network", ["vgg16", "vgg19"])
def test_default_layers_are_the_last_convolution_of_each_stage(network: str) -> None:
    from medsr.training.features import layer_names

    perceptual = Losses.model_validate({"perceptual": {"network": network}}).perceptual
    names = layer_names(perceptual.network)
    assert [names[names.index(layer) + 2] for layer in perceptual.layers] == [f"pool{stage}" for stage in range(1, 6)]


@pytest.mark.slow
def test_two_losses_may_read_two_networks(tmp_path: Path) -> None:
    from torchvision.models.vgg import cfgs, make_layers

    torch.manual_seed(0)
    paths = {}
    for network, kind in (("vgg16", "D"), ("vgg19", "E")):
        paths[network] = tmp_path / f"{network}.pth"
        layers = make_layers(cfgs[kind]).state_dict()
        torch.save({f"features.{name}": value for name, value in layers.items()}, paths[network])
    settings = {
        "perceptual": {"network": "vgg16", "layers": {"conv3_3": 1}, "sharpened": False},
        "texture": {"weight": 1, "layers": {"conv3_4": 1}},
    }
    loss = GeneratorLoss(Losses.model_validate(settings), paths, "cpu")
    result, truth = torch.rand(1, 3, 32, 32), torch.rand(1, 3, 32, 32)
    losses = loss(result, truth, None)
    ours, theirs = (loss.features["vgg16"](image)["conv3_3"] for image in (result, truth))
    torch.testing.assert_close(losses["perceptual"], (ours - theirs).abs().mean())
    ours, theirs = (loss.features["vgg19"](image)["relu3_4"] for image in (result, truth))
    torch.testing.assert_close(losses["texture"], (gram(ours) - gram(theirs)).abs().mean())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("change", "seen"),
    [
        ({"degradation": {"name": "bicubic"}}, {"gan", "discriminator_real"}),
        ({"degradation": {"name": "unknown"}}, {"gan"}),
        ({"discriminator": {"name": "vgg", "features": 8}}, {"discriminator_fake"}),
        ({"discriminator": {"name": "vgg", "features": 8, "pooled": True}}, {"discriminator_fake"}),
        ({"discriminator": {"name": "attention-unet", "features": 8}}, {"discriminator_fake"}),
        ({"losses": {"gan": {"weight": 0.1, "relativistic": True}}}, {"discriminator_real"}),
        ({"losses": {"gan": {"weight": 0.1, "kind": "wgan-gp"}}, "guard": {"won": 0}}, {"discriminator_penalty"}),
        ({"losses": {"gan": {"weight": 0.1}, "charbonnier": {"weight": 1}, "mse": {"weight": 1}}}, {"charbonnier"}),
    ],
    ids=["bicubic", "unknown", "vgg", "vgg-pooled", "attention-unet", "relativistic", "wgan-gp", "pixels"],
)
def test_it_trains_and_resumes_bit_by_bit(
    change: dict[str, object], seen: set[str], image_folder: Path, tmp_path: Path
) -> None:
    recipe = tmp_path / "x.yml"
    recipe.write_text(yaml.safe_dump(RECIPE | GAN | {"iterations": 4, "save_every": 2} | change))
    finetune(recipe, image_folder, out=tmp_path / "whole", device="cpu")
    parts = Path(shutil.copytree(tmp_path / "whole", tmp_path / "parts"))
    for path in (parts / "state").glob("00000004.*"):  # as if killed before it was saved
        path.unlink()
    finetune("", resume=parts, device="cpu")
    logs = [(tmp_path / run / "log.jsonl").read_text().splitlines() for run in ("whole", "parts")]
    records = [json.loads(line) for line in logs[0]]
    assert any(seen <= record.keys() for record in records)
    last = [[line for line in log if '"iteration": 4,' in line and "l1" in line] for log in logs]
    assert last[0] == last[1]
    states = [torch.load(tmp_path / run / "state/00000004.pt", weights_only=True) for run in ("whole", "parts")]
    for name, value in states[0]["discriminator"].items():
        torch.testing.assert_close(states[1]["discriminator"][name], value, rtol=0, atol=0)
