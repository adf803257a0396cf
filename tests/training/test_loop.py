from __future__ import annotations

import html
import json
from pathlib import Path
from typing import Any

import pytest
import torch

from medsr.commands.finetune import describe, finetune
from medsr.core.errors import WeightsError
from medsr.networks import checkpoint
from medsr.recipe import Optimizer
from medsr.report import page
from medsr.training import loop
from tests.helpers.recipes import GAN, RECIPE, write_recipe
from tests.helpers.training import read_weights, same_weights, vgg19_state

pytestmark = pytest.mark.usefixtures("without_curves")


def test_a_run_leaves_everything_the_design_names(
    recipe: Path, image_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("medsr.training.report.curves", page.curves)  # this once they are drawn
    lines: list[str] = []
    result = finetune(recipe, image_folder, out=tmp_path / "run", device="cpu", notify=lines.append)
    names = {path.name for path in (tmp_path / "run").iterdir()}
    files = {"recipe.yml", "log.jsonl", "model.safetensors", "best.safetensors", "report.html", "result.json"}
    files |= {"files.json"}
    assert names == files | {"tensorboard", "samples", "state"}
    assert any("too_small.png" in line for line in lines)
    assert "bicubic on the held-out images" in " ".join(lines)
    records = [json.loads(line) for line in (tmp_path / "run/log.jsonl").read_text().splitlines()]
    assert [r["iteration"] for r in records if "l1" in r] == [1, 2, 3, 4, 5, 6]
    assert [r["iteration"] for r in records if "validation" in r] == [0, 3, 6]
    report = (tmp_path / "run/report.html").read_text()
    assert "http" not in report.replace("http://www.w3.org", "").split("base64")[0]
    assert "Validation PSNR" in report
    assert report.count("data:image/svg+xml") == 3
    told = " ".join(describe(result))
    assert "on 1 held-out image (mean PSNR)" in told
    assert f"data: {image_folder}" in told
    assert "5 trained on, 1 held out" in told
    assert "fresh weights" in told
    assert html.escape(result.verdict[0]) in report
    assert str(image_folder) not in report


def test_training_lowers_the_loss(recipe: Path, image_folder: Path, tmp_path: Path) -> None:
    more = ["iterations=40", "degradation.pool=0", "data.validation=0", "optimizer.learning_rate=3e-3", "save_every=40"]
    finetune(recipe, image_folder, out=tmp_path / "run", overrides=more, device="cpu")
    losses = [json.loads(line)["l1"] for line in (tmp_path / "run/log.jsonl").read_text().splitlines()]
    assert sum(losses[-10:]) < 0.8 * sum(losses[:10])


def test_the_same_seed_gives_the_same_weights_and_another_does_not(
    recipe: Path, image_folder: Path, tmp_path: Path
) -> None:
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        finetune(recipe, image_folder, out=tmp_path / name, overrides=["iterations=2"], device="cpu", seed=seed)
    assert same_weights(read_weights(tmp_path / "a"), read_weights(tmp_path / "b"))
    assert not same_weights(read_weights(tmp_path / "a"), read_weights(tmp_path / "c"))


def test_training_is_the_same_in_either_order_of_channels(
    recipe: Path, image_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    orders = []
    step = loop.step

    def watched(*arguments: Any) -> dict[str, float]:
        orders.append(arguments[1].generator.module.conv_body.weight.stride()[1])
        return step(*arguments)

    monkeypatch.setattr(loop, "step", watched)
    for name in ("AVX2", "AVX512"):
        monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda name=name: name)
        finetune(recipe, image_folder, out=tmp_path / name, device="cpu")
    assert orders == [9] * 6 + [1] * 6  # channels first, and last
    losses = [
        [json.loads(line).get("l1", 0.0) for line in (tmp_path / name / "log.jsonl").read_text().splitlines()]
        for name in ("AVX2", "AVX512")
    ]
    assert losses[0] == pytest.approx(losses[1], rel=1e-3)


def test_ema_follows_its_formula(recipe: Path, image_folder: Path, tmp_path: Path) -> None:
    settings = ["ema=0.9", "iterations=1", "save_every=1"]
    finetune(recipe, image_folder, out=tmp_path / "a", overrides=settings, device="cpu")
    finetune(
        recipe,
        image_folder,
        out=tmp_path / "start",
        overrides=[*settings, "optimizer.learning_rate=1e-30"],
        device="cpu",
    )
    state = torch.load(tmp_path / "a/state/00000001.pt", weights_only=True)
    start = read_weights(tmp_path / "start")["conv_last.weight"]
    expected = 0.9 * start + 0.1 * state["generator"]["conv_last.weight"]
    torch.testing.assert_close(read_weights(tmp_path / "a")["conv_last.weight"], expected)


def test_accumulated_parts_give_the_gradient_of_the_whole_batch() -> None:
    from lightning_fabric import Fabric

    from medsr.recipe import Recipe
    from medsr.training.losses import GeneratorLoss
    from medsr.training.training_state import build_training_state

    gradients = []
    high = torch.rand(4, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    for accumulate in (1, 2, 4):
        content = RECIPE | {"batch": 4, "accumulate": accumulate, "optimizer": {"learning_rate": 1e-3}}
        still = {"blur_probability": 0, "resize_up_down_keep": [0, 0, 1], "noise_probability": 0, "jpeg_probability": 0}
        content["degradation"] = {"pool": 0, "final_sinc_probability": 0, "first": still, "second": still}
        content["data"] = {"crop": 32, "degrade_crop": 48}
        settings = Recipe.model_validate(content)
        torch.manual_seed(0)
        net = checkpoint.Spec("rrdb", 2, 3, {"features": 12, "blocks": 1, "growth": 4}).build()
        fabric = Fabric(accelerator="cpu", devices=1)
        training_state = build_training_state(settings, net, None, fabric)
        training_state.iteration = 1
        pairs = [(part, torch.nn.functional.avg_pool2d(part, 2)) for part in high.chunk(accumulate)]
        losses: dict[str, float] = {}
        training_state.generator_optimizer.step = lambda: None
        training_state.generator_optimizer.zero_grad = lambda: None
        loop._generator_step(
            settings, training_state, pairs, GeneratorLoss(settings.losses, None, "cpu"), fabric, 1e-3, losses
        )
        gradients.append(net.conv_first.weight.grad.clone())
    torch.testing.assert_close(gradients[1], gradients[0], rtol=1e-4, atol=1e-7)
    torch.testing.assert_close(gradients[2], gradients[0], rtol=1e-4, atol=1e-7)


@pytest.mark.slow
def test_bf16_where_the_device_has_none_is_fp32_and_said(
    recipe: Path, image_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Emulated, an iteration takes ten times as long."""
    monkeypatch.setattr("medsr.training.trainer.computes_bf16", lambda _: False)
    lines: list[str] = []
    more = ["iterations=2", "data.validation=0"]
    finetune(recipe, image_folder, out=tmp_path / "fp32", overrides=more, device="cpu")
    staged = [*more, "stages=[{name: a, precision: bf16}]"]
    finetune(recipe, image_folder, out=tmp_path / "bf16", overrides=staged, device="cpu", notify=lines.append)
    assert same_weights(read_weights(tmp_path / "bf16"), read_weights(tmp_path / "fp32"))
    assert any("training in fp32" in line for line in lines)
    assert checkpoint.describe(tmp_path / "bf16/model.safetensors")["training"]["precision"] == "fp32"
    again = [*more[1:], "iterations=3", "precision=bf16"]
    finetune(recipe, image_folder, out=tmp_path / "once", overrides=[*more, "precision=bf16"], device="cpu")
    finetune(recipe, image_folder, out=tmp_path / "once", overrides=again, resume=tmp_path / "once", device="cpu")


@pytest.mark.slow
def test_perceptual_loss_through_vgg19(
    recipe: Path, image_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from medsr.networks import weight_store

    torch.save(vgg19_state(), tmp_path / "vgg.pth")
    monkeypatch.setattr(weight_store, "locate", lambda name: tmp_path / "vgg.pth")
    more = ["iterations=1", "losses.perceptual.weight=1", "data.validation=0"]
    finetune(recipe, image_folder, out=tmp_path / "run", overrides=more, device="cpu")
    record = json.loads((tmp_path / "run/log.jsonl").read_text().splitlines()[0])
    assert record["perceptual"] > 0


def test_perceptual_loss_without_vgg19_refuses_to_start(recipe: Path, image_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"losses\.perceptual\.weight=0") as caught:
        finetune(recipe, image_folder, out=tmp_path / "run", overrides=["losses.perceptual.weight=1"], device="cpu")
    assert "medsr weights import vgg19-dcbb9e9d.pth" in str(caught.value)
    assert not (tmp_path / "run").exists()


def test_learning_rate_schedules() -> None:
    constant = Optimizer(learning_rate=1e-3)
    assert loop.learning_rate(constant, 1, 0.0) == loop.learning_rate(constant, 100, 0.99) == 1e-3
    cosine = Optimizer(learning_rate=1e-3, schedule="cosine", warmup=10)
    rates = [loop.learning_rate(cosine, i, (i - 1) / 100) for i in range(1, 101)]
    assert rates[0] == pytest.approx(1e-4)
    assert rates[9] == max(rates)
    assert rates[50] == pytest.approx(0.5e-3)
    assert 0 < rates[-1] < 1e-6


def test_what_finetune_writes_loads_in_spandrel_with_the_same_output(image_folder: Path, tmp_path: Path) -> None:
    from spandrel import ModelLoader

    recipe = write_recipe(tmp_path / "recipe.yml", RECIPE | {"generator": {"features": 12, "blocks": 2, "growth": 32}})
    result = finetune(recipe, image_folder, out=tmp_path / "run", overrides=["iterations=2"], device="cpu")
    ours, _ = checkpoint.load(result.model)
    theirs = ModelLoader().load_from_file(result.model)
    images = torch.rand(1, 3, 24, 24)
    with torch.no_grad():
        torch.testing.assert_close(theirs(images), ours(images).clamp(0, 1), atol=1e-5, rtol=0)


@pytest.mark.slow
def test_compiled_networks_follow_the_same_course(image_folder: Path, tmp_path: Path) -> None:
    """Also when the process has compiled the networks for other shapes, as an earlier stage does."""
    earlier = RECIPE | {"compile": True, "data": RECIPE["data"] | {"crop": 40}}
    finetune(write_recipe(tmp_path / "earlier.yml", earlier), image_folder, out=tmp_path / "earlier", device="cpu")
    losses = {}
    for compiled in (False, True):
        recipe = write_recipe(tmp_path / f"{compiled}.yml", RECIPE | GAN | {"compile": compiled, "iterations": 4})
        run = finetune(recipe, image_folder, out=tmp_path / f"run{compiled}", device="cpu").run
        records = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
        losses[compiled] = [record["l1"] for record in records if "l1" in record]
        assert len(checkpoint.load(run / "model.safetensors")[0].state_dict()) > 10
    assert losses[True] == pytest.approx(losses[False], rel=1e-3)
