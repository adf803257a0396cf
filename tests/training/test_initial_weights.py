"""Weights that a training starts from: whole, in part, of another scale, frozen."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from medsr.commands.finetune import finetune
from medsr.core.errors import UsageError, WeightsError
from medsr.networks import checkpoint, discriminators
from medsr.recipe import load
from medsr.training import initial_weights
from medsr.training.training_state import build_training_state
from tests.helpers.recipes import GAN, RECIPE, write_recipe
from tests.helpers.training import read_weights, same_weights
from tests.helpers.upstream import needs_upstream

pytestmark = pytest.mark.usefixtures("without_curves")


def test_stock_weights_that_are_not_there_refuse_to_start(image_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="fetch realesrgan-x4plus realesrgan-x4plus-netd vgg19; or") as told:
        finetune("retina", image_folder, out=tmp_path / "run", device="cpu")
    assert "vgg19-dcbb9e9d.pth from https://" in str(told.value)
    with pytest.raises(WeightsError, match=r"medsr weights fetch realesrgan-x4plus[)]"):
        finetune("demo_full", image_folder, out=tmp_path / "run", device="cpu")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("precision", ["bf16", "fp32"])
def test_gan_training_starts_from_given_weights_in_any_precision(
    precision: str, image_folder: Path, tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("medsr.training.trainer.computes_bf16", lambda _: True)
    torch.manual_seed(0)
    torch.save({"params": discriminators.unet_sn(3, 8).state_dict()}, tmp_path / "netD.pth")
    content = RECIPE | GAN | {"generator": {"features": 12, "blocks": 1, "growth": 4}, "accumulate": 2}
    content["start_from"] = {"generator": str(tiny_model), "discriminator": str(tmp_path / "netD.pth")}
    recipe = write_recipe(tmp_path / "recipe.yml", content | {"precision": precision})
    finetune(recipe, image_folder, out=tmp_path / "run", overrides=["iterations=2"], device="cpu")
    record = json.loads((tmp_path / "run/log.jsonl").read_text().splitlines()[1])
    assert {"l1", "gan", "discriminator_real", "discriminator_fake"} <= record.keys()
    assert not same_weights(read_weights(tmp_path / "run"), checkpoint.read_state(tiny_model)[0])


def test_a_discriminator_is_kept_for_the_next_run_to_start_from(image_folder: Path, tmp_path: Path) -> None:
    """P1 starts from both networks; a discriminator that begins anew undoes what the generator knows."""
    stages = {"stages": [{"name": "a", "iterations": 1}]}
    recipe = write_recipe(tmp_path / "recipe.yml", RECIPE | GAN | {"data": RECIPE["data"] | {"validation": 0}})
    staged = write_recipe(tmp_path / "staged.yml", yaml.safe_load(recipe.read_text()) | stages)
    first = finetune(staged, image_folder, out=tmp_path / "first", device="cpu").run / "discriminator.safetensors"
    more = ["iterations=1", f"start_from.discriminator={first}", "optimizer.learning_rate=1e-30"]
    second = finetune(recipe, image_folder, out=tmp_path / "second", overrides=more, device="cpu").run / first.name
    before, after = checkpoint.read_state(first)[0], checkpoint.read_state(second)[0]
    assert all(torch.equal(before[name], after[name]) for name in before if name.endswith(("weight_orig", "bias")))
    with pytest.raises(WeightsError, match="holds a unet-sn discriminator, not a generator"):
        checkpoint.load(first)


def test_what_fits_of_another_kind_of_network_is_refused(tmp_path: Path, tiny_model: Path, image_folder: Path) -> None:
    recipe = write_recipe(tmp_path / "r.yml", start_from={"generator": str(tiny_model), "matching": True})
    with pytest.raises(UsageError, match="is a rrdb, the recipe asks for rrdn"):
        finetune(recipe, image_folder, out=tmp_path / "run", device="cpu")


@pytest.mark.parametrize(("before", "after"), [(2, 4), (4, 2), (1, 2), (2, 1)])
def test_an_rrdb_of_another_scale_sees_what_it_saw(before: int, after: int, tmp_path: Path, fundus: np.ndarray) -> None:
    """The new one is the old one on the image enlarged by nearest neighbour, or averaged."""
    from medsr.training.initial_weights import generator

    torch.manual_seed(0)
    settings = {"features": 48, "blocks": 1, "growth": 8}
    old = checkpoint.Spec("rrdb", before, 3, settings)
    net = old.build()
    checkpoint.save(tmp_path / "old.safetensors", net.state_dict(), old)
    start = {"generator": str(tmp_path / "old.safetensors"), "matching": True, "freeze": 1}
    recipe = write_recipe(tmp_path / "r.yml", scale=after, generator={"name": "rrdb", **settings}, start_from=start)
    output, _, summary = generator(load(recipe), tmp_path / "old.safetensors")
    assert "0 of " in summary  # nothing is new
    inputs = torch.from_numpy(fundus[:64, :64].astype(np.float32) / 255).permute(2, 0, 1)[None]
    functional = torch.nn.functional
    seen = functional.interpolate(inputs, scale_factor=2) if after > before else functional.avg_pool2d(inputs, 2)
    with torch.inference_mode():
        torch.testing.assert_close(output(inputs), net(seen), atol=1e-5, rtol=1e-5)


def test_frozen_blocks_stay_as_they_are_and_the_others_learn(tmp_path: Path, image_folder: Path) -> None:
    norms = {"generator": {"name": "srresnet", "features": 8, "blocks": 3}}
    first = finetune(write_recipe(tmp_path / "a.yml", **norms), image_folder, out=tmp_path / "a", device="cpu")
    start = {"generator": str(first.model), "freeze": 2}
    recipe = write_recipe(tmp_path / "b.yml", **norms, start_from=start, optimizer={"learning_rate": 1e-2})
    second = finetune(recipe, image_folder, out=tmp_path / "b", device="cpu")
    before, after = read_weights(first.model), read_weights(second.model)
    frozen = ("conv_first.", "body.0.", "body.1.")
    for name, tensor in before.items():
        same = torch.equal(tensor, after[name])
        assert same == name.startswith(frozen), name  # running means of norms included
    too_many = write_recipe(tmp_path / "c.yml", **norms, start_from={**start, "freeze": 4})
    with pytest.raises(UsageError, match="the generator has 3 blocks"):
        finetune(too_many, image_folder, out=tmp_path / "c", device="cpu")
    scaled = write_recipe(tmp_path / "d.yml", **norms, scale=4, start_from={**start, "matching": True})
    assert finetune(scaled, image_folder, out=tmp_path / "d", device="cpu").iterations == 6  # nothing frozen is new
    wide = {"generator": {"name": "srresnet", "features": 16, "blocks": 3}}
    other = write_recipe(tmp_path / "e.yml", **wide, start_from={"generator": str(first.model), "matching": True})
    with pytest.raises(UsageError, match=r"only 0\.\d% fits"):
        finetune(other, image_folder, out=tmp_path / "e", device="cpu")


def test_frozen_blocks_stay_frozen_in_later_stages(tmp_path: Path, image_folder: Path) -> None:
    first = finetune(write_recipe(tmp_path / "a.yml"), image_folder, out=tmp_path / "a", device="cpu")
    start = {"generator": str(first.model), "freeze": 1}
    two = [{"name": "x"}, {"name": "y", "scale": 4}]
    recipe = write_recipe(tmp_path / "b.yml", start_from=start, stages=two)
    second = finetune(recipe, image_folder, out=tmp_path / "b", device="cpu")
    before, after = read_weights(first.model), read_weights(second.model)
    assert all(torch.equal(before[name], after[name]) for name in before if name.startswith(("conv_first", "body.0.")))
    assert not torch.equal(before["conv_body.weight"], after["conv_body.weight"])


@needs_upstream
def test_the_authors_programs_can_be_asked_for_and_train_alike(
    image_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = write_recipe(tmp_path / "recipe.yml", RECIPE | GAN)
    theirs = ["generator.implementation=basicsr", "discriminator.implementation=realesrgan"]
    trained = []
    monkeypatch.setattr(
        "medsr.training.training_state.build_training_state",
        lambda *given: trained.append(given[1:3]) or build_training_state(*given),
    )
    for folder, overrides in (("ours", []), ("theirs", theirs)):
        finetune(recipe, image_folder, out=tmp_path / folder, overrides=["iterations=3", *overrides], device="cpu")
    modules = [[type(net).__module__.partition(".")[0] for net in nets] for nets in trained]
    assert modules == [["medsr", "medsr"], ["basicsr", "realesrgan"]]
    assert same_weights(read_weights(tmp_path / "ours"), read_weights(tmp_path / "theirs"))
    start = load(recipe, [f"start_from.generator={tmp_path / 'ours/model.safetensors'}", theirs[0]])
    generator, _, _ = initial_weights.generator(start, tmp_path / "ours/model.safetensors")
    assert type(generator).__module__.startswith("basicsr")
    assert same_weights(generator.state_dict(), read_weights(tmp_path / "ours"))


def test_the_authors_program_where_it_cannot_be_is_refused_plainly(
    image_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("medsr.networks.upstream.is_installed", lambda package: False)
    recipe = write_recipe(tmp_path / "recipe.yml", RECIPE)
    with pytest.raises(UsageError, match=r"generator\.implementation: basicsr .*; leave the key out"):
        finetune(recipe, image_folder, out=tmp_path / "run", overrides=["generator.implementation=basicsr"])
    assert not (tmp_path / "run").exists()
    with pytest.raises(UsageError, match=r"generator\.implementation"):
        load(recipe, ["generator.name=srresnet", "generator.implementation=basicsr"])


@pytest.mark.parametrize(
    ("recipe_name", "model"),
    [
        ("mri", "medsr-mri"),
        ("retina_compact", "medsr-retina-x2"),
        ("retina_compact_x4", "medsr-retina-x4"),
        ("chest_compact_x2", "medsr-cxr-x2"),
        ("chest_compact_x4", "medsr-cxr-x4"),
    ],
)
def test_training_goes_on_from_released_weights_under_their_own_recipe(recipe_name: str, model: str) -> None:
    """Weights of earlier versions too, whose files do not name a size that came later."""
    from medsr.networks import weight_store
    from medsr.training.initial_weights import generator

    recipe = load(recipe_name, [f"start_from.generator={model}", "start_from.matching=false"])
    path = weight_store.get(model).path
    net, spec, _ = generator(recipe, path)
    released = checkpoint.read_state(path)[0]
    assert spec.scale == recipe.scale
    assert all(torch.equal(tensor, released[name]) for name, tensor in net.state_dict().items())
