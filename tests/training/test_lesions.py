"""A network trained on crops with lesions in them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from medsr.commands.finetune import finetune
from tests.helpers.recipes import PLAIN, write_recipe
from tests.helpers.training import assert_same_run

pytestmark = pytest.mark.usefixtures("without_curves", "one_thread")


def test_a_run_with_lesions_resumes_and_tells_of_them(image_folder: Path, tmp_path: Path) -> None:
    data = PLAIN["data"] | {"lesions": {"kind": "fundus", "probability": 1.0, "sizes": [3, 9]}}
    recipe = write_recipe(tmp_path / "recipe.yml", PLAIN, data=data)
    finetune(recipe, image_folder, out=tmp_path / "whole", device="cpu")
    for text in ((tmp_path / "whole/report.html").read_text(), (tmp_path / "whole/recipe.yml").read_text()):
        assert "lesions:" in text
        assert "kind: fundus" in text
    shutil.copytree(tmp_path / "whole", tmp_path / "parts")
    (tmp_path / "parts/state/00000006.pt").unlink()  # as if it had been stopped before its last saving
    finetune("", resume=tmp_path / "parts", device="cpu")
    assert_same_run(tmp_path / "whole", tmp_path / "parts")


def test_slices_of_volumes_train_with_lesions(tmp_path: Path) -> None:
    for index in range(2):
        volume = np.random.default_rng(index).uniform(300, 900, (40, 44, 48)).astype(np.float32)
        nib.Nifti1Image(volume, np.eye(4)).to_filename(tmp_path / f"sub-{index}.nii.gz")
    recipe = write_recipe(
        tmp_path / "recipe.yml",
        PLAIN,
        scale=1,
        channels=1,
        generator={"name": "refiner", "features": 8, "blocks": 1},
        data={"validation": 0, "crop": 32, "workers": 0, "lesions": {"kind": "mri", "probability": 1.0}},
        degradation={"name": "slice-profile"},
    )
    finetune(recipe, tmp_path, out=tmp_path / "run", device="cpu")
    losses = [json.loads(line)["l1"] for line in (tmp_path / "run/log.jsonl").read_text().splitlines()]
    assert len(losses) == 6
    assert np.isfinite(losses).all()
