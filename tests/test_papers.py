"""The papers' recipes: published settings, and small twins that train."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from skimage.data import retina

from medsr.commands.finetune import finetune
from medsr.commands.upscale.run import upscale
from medsr.commands.volume.run import volume
from medsr.networks import checkpoint
from medsr.networks.architectures import ARCHITECTURES
from medsr.recipe import Recipe, load
from tests.helpers.images import write_png
from tests.helpers.scans import smooth_volume

FOLDER = Path(__file__).parent.parent / "recipes" / "papers"
FULL = sorted(path.stem for path in FOLDER.glob("*.yml"))
SMALL = sorted(path.stem for path in (FOLDER / "small").glob("*.yml"))

pytestmark = pytest.mark.usefixtures("without_curves")


def _parts(recipe: Recipe) -> list[Recipe]:
    return [recipe.stage(index) for index in range(len(recipe.stages))] or [recipe]


def _count(net: torch.nn.Module) -> int:
    return sum(tensor.numel() for tensor in net.parameters() if tensor.requires_grad)


def test_every_paper_has_its_recipes() -> None:
    assert {name[:2] for name in FULL} == {"p1", "p2", "p3", "p4", "p5"}  # P1 as published: retina and chest_xray
    assert {name[:2] for name in SMALL} == {"p1", "p2", "p3", "p4", "p5"}
    table = (FOLDER / "README.md").read_text()
    assert not [name for name in (*FULL, *SMALL) if f"`{name}`" not in table]


@pytest.mark.parametrize("name", ["retina", "chest_xray", *FULL])
def test_the_networks_of_every_full_recipe_can_be_built(name: str) -> None:
    for part in _parts(load(name)):
        with torch.device("meta"):
            net = checkpoint.Spec(part.generator.name, part.scale, part.channels, part.generator.sizes).build()
            assert _count(net) > 1_000_000
            if part.discriminator is not None:
                critic = ARCHITECTURES[part.discriminator.name].build(
                    channels=part.channels, crop=part.data.crop, **part.discriminator.sizes
                )
                assert critic(torch.rand(1, part.channels, part.data.crop, part.data.crop)).shape[0] == 1


def test_published_settings() -> None:
    srgan = load("p3_srgan")
    first, second = _parts(srgan)
    critic = ARCHITECTURES["vgg"].build(channels=3, crop=second.data.crop, features=64)
    assert _count(critic) == 80_188_609
    assert (first.patience, second.patience, first.batch, first.data.flips) == (30, 50, 8, 0.2)
    losses = second.losses
    assert (losses.mse.weight, losses.perceptual.weight, losses.gan.weight, losses.l1.weight) == (2, 1, 0.005, 0)
    assert (srgan.optimizer.step, srgan.optimizer.factor, srgan.metric) == (30 * 800 // 8, 0.1, "psnr_y")
    for scale in (2, 3, 4):
        assert load("p3_srresnet", [f"scale={scale}"]).scale == scale
    rrdn = load("p4_rrdn")
    assert rrdn.generator.name == "rrdn"
    assert rrdn.generator.sizes == {
        "features": 64,
        "growth": 64,
        "convs": 4,
        "dense": 3,
        "blocks": 10,
    }
    assert (rrdn.optimizer.learning_rate, rrdn.optimizer.step, rrdn.iterations) == (5e-4, 30 * 500, 80 * 500)
    assert (rrdn.batch, rrdn.losses.gan.relativistic) == (16, True)
    assert [part.scale for part in _parts(load("p4_rrdn_progressive"))] == [2, 4, 8]
    residual = load("p5_residual_gan")
    assert (residual.losses.perceptual.criterion, residual.data.crop) == ("mse", 96)
    slices = _parts(load("p2_esrgan_r_mri"))[1]
    assert slices.thick_slices is not None
    assert slices.thick_slices.factors == (2, 2)
    assert slices.losses.texture.weight > 0


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in SMALL if "mri" not in name])
def test_every_small_twin_trains_and_upscales(name: str, tmp_path: Path) -> None:
    eye = retina()[::2, ::2]
    for index in range(3):
        write_png(tmp_path / "eyes" / f"{index}.png", np.ascontiguousarray(eye[200 + 100 * index :][:200, 200:400]))
    result = finetune(
        name, tmp_path / "eyes", out=tmp_path / "run", overrides=["minutes=0.01", "data.workers=0"], device="cpu"
    )
    stages = sorted(path.name for path in (tmp_path / "run").iterdir() if path.name[0] in "12")
    assert len(stages) == 2
    assert result.iterations >= 2
    outcome = upscale(tmp_path / "eyes" / "0.png", tmp_path / "up", model=result.model, engine="torch")[0]
    assert outcome.error is None


@pytest.mark.slow
def test_the_small_twin_for_volumes_trains_and_refines(tmp_path: Path) -> None:
    import nibabel

    (tmp_path / "scans").mkdir()
    for index in range(2):
        image = nibabel.Nifti1Image(smooth_volume((80, 72, 70), index).astype(np.int16), np.eye(4))
        image.to_filename(tmp_path / "scans" / f"{index}.nii.gz")
    result = finetune(
        "p2_esrgan_mri_small",
        tmp_path / "scans",
        out=tmp_path / "run",
        overrides=["minutes=0.01", "data.workers=0"],
        device="cpu",
    )
    thick = smooth_volume((30, 32, 20)).astype(np.int16)
    nibabel.Nifti1Image(thick, np.diag([1, 1, 2, 1.0])).to_filename(tmp_path / "thick.nii.gz")
    outcome = volume(tmp_path / "thick.nii.gz", tmp_path / "fine.nii.gz", model=result.model, engine="torch")[0]
    assert outcome.error is None
    assert nibabel.load(tmp_path / "fine.nii.gz").shape == (30, 32, 40)
