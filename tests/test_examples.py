"""The examples run as they stand, each in a few seconds."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import nibabel
import numpy as np
import pytest
from PIL import Image

EXAMPLES = Path(__file__).parent.parent / "examples"


def _run(name: str, folder: Path, *arguments: str) -> str:
    command = [sys.executable, str(EXAMPLES / f"{name}.py"), *arguments]
    ended = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=300)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def test_an_image_is_enlarged_twice(tmp_path: Path) -> None:
    _run("upscale_image", tmp_path)
    folder = tmp_path / "example-image"
    before, after = (np.asarray(Image.open(path)) for path in (folder / "fundus.png", folder / "finer/fundus.png"))
    assert after.shape == (2 * before.shape[0], 2 * before.shape[1], 3)
    assert np.abs(after.mean((0, 1)) - before.mean((0, 1))).max() < 1


def test_a_scan_is_refined_over_the_same_box(tmp_path: Path) -> None:
    _run("refine_volume", tmp_path)
    before = nibabel.load(tmp_path / "example-scan/thick.nii.gz")
    after = nibabel.load(tmp_path / "example-scan/finer.nii.gz")
    assert after.shape == (32, 32, 40)
    assert after.get_data_dtype() == before.get_data_dtype()
    corners = [image.affine @ [-0.5, -0.5, -0.5, 1] for image in (before, after)]
    np.testing.assert_allclose(*corners, atol=1e-4)


def test_a_model_is_fine_tuned_and_measured(tmp_path: Path) -> None:
    told = _run("finetune_and_evaluate", tmp_path, "run-here", "4")
    assert (tmp_path / "run-here/run/model.safetensors").is_file()
    assert (tmp_path / "run-here/measured/report.html").is_file()
    figures = {line.split()[0]: float(line.split()[1]) for line in told.splitlines() if line.endswith(" dB")}
    assert set(figures) == {"bicubic", "medsr-retina-x2", "model.safetensors"}
    assert figures["medsr-retina-x2"] > figures["bicubic"] + 1


@pytest.mark.parametrize("example", EXAMPLES.glob("*.py"), ids=lambda path: path.name)
def test_every_example_is_described(example: Path) -> None:
    assert f"python examples/{example.name}" in example.read_text()
