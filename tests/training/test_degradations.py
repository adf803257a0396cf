"""Degradations other than the standard one, in training and validation."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from medsr.commands.finetune import finetune
from medsr.commands.upscale.run import upscale
from medsr.commands.volume.run import volume
from medsr.core.errors import UsageError, WeightsError
from tests.helpers.recipes import write_recipe
from tests.helpers.scans import smooth_volume

pytestmark = pytest.mark.usefixtures("without_curves")


def test_every_metric_is_measured(tmp_path: Path, image_folder: Path) -> None:
    for metric in ("psnr_y", "mse"):
        recipe = write_recipe(tmp_path / "r.yml", metric=metric, iterations=1)
        result = finetune(recipe, image_folder, out=tmp_path / metric, device="cpu")
        assert set(result.end) == {"psnr", "ssim", metric}
    assert result.end["psnr"] == pytest.approx(10 * np.log10(255**2 / result.end["mse"]), abs=0.01)
    with pytest.raises(WeightsError, match="weights fetch alexnet"):
        finetune(write_recipe(tmp_path / "r.yml", metric="lpips"), image_folder, out=tmp_path / "lpips", device="cpu")


def test_the_unknown_track_is_validated_on_its_own_blur(tmp_path: Path, image_folder: Path) -> None:
    more = {"protocol": {"blur_sigma": 0}, "iterations": 1}
    psnr = {}
    for name in ("bicubic", "unknown"):
        recipe = write_recipe(tmp_path / "r.yml", degradation={"name": name}, **more)
        psnr[name] = finetune(recipe, image_folder, out=tmp_path / name).bicubic["psnr"]
    assert psnr["bicubic"] > psnr["unknown"] + 0.5


@pytest.mark.slow
def test_plain_generators_learn_from_slices_and_refine_volumes(tmp_path: Path) -> None:
    """P2: one network of images, trained on slices through a volume's three planes, averaged voxel by voxel."""
    import nibabel

    folder = tmp_path / "scans"
    folder.mkdir()
    for index in range(2):
        image = nibabel.Nifti1Image(smooth_volume((48, 44, 40), index).astype(np.int16), np.eye(4))
        image.to_filename(folder / f"scan{index}.nii.gz")
    recipe = write_recipe(
        tmp_path / "r.yml",
        scale=1,
        channels=1,
        generator={"name": "rrdb-aggregated", "features": 8, "blocks": 1, "growth": 4},
        data={"validation": "scan1*", "crop": 32, "workers": 0},
        degradation={"name": "through-plane-mean", "factor": 2},
    )
    result = finetune(recipe, folder, out=tmp_path / "run", device="cpu")
    assert result.bicubic["psnr"] > 15
    thick = smooth_volume((48, 44, 40)).reshape(48, 44, 20, 2).mean(axis=3).astype(np.int16)
    nibabel.Nifti1Image(thick, np.diag([1, 1, 2, 1.0])).to_filename(tmp_path / "thick.nii.gz")
    outcome = volume(tmp_path / "thick.nii.gz", tmp_path / "fine.nii.gz", model=result.model, engine="torch")[0]
    assert outcome.error is None
    assert nibabel.load(tmp_path / "fine.nii.gz").shape == (48, 44, 40)
    with pytest.raises(UsageError, match="refines slices of volumes"):
        upscale(tmp_path / "any.png", tmp_path / "up", model=result.model, engine="torch")
