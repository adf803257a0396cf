"""The examples run as they stand, each in a few seconds."""

from __future__ import annotations

import runpy
from pathlib import Path

import nibabel
import numpy as np
import pytest
from PIL import Image

EXAMPLES = Path(__file__).parent.parent / "examples"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder, where examples write by default."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def _run(name: str, *arguments: str) -> None:
    runpy.run_path(str(EXAMPLES / f"{name}.py"))["main"](*arguments)


def test_an_image_is_enlarged_twice(folder: Path) -> None:
    _run("upscale_image")
    paths = folder / "example-image/fundus.png", folder / "example-image/finer/fundus.png"
    before, after = (np.asarray(Image.open(path)) for path in paths)
    assert after.shape == (2 * before.shape[0], 2 * before.shape[1], 3)
    assert np.abs(after.mean((0, 1)) - before.mean((0, 1))).max() < 1


def test_a_scan_is_refined_over_the_same_box(folder: Path) -> None:
    _run("refine_volume")
    before = nibabel.load(folder / "example-scan/thick.nii.gz")
    after = nibabel.load(folder / "example-scan/finer.nii.gz")
    assert after.shape == (32, 32, 40)
    assert after.get_data_dtype() == before.get_data_dtype()
    corners = [image.affine @ [-0.5, -0.5, -0.5, 1] for image in (before, after)]
    np.testing.assert_allclose(*corners, atol=1e-4)


@pytest.mark.slow
def test_a_model_is_fine_tuned_and_measured(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _run("finetune_and_evaluate", "run-here", "4")
    assert (folder / "run-here/run/model.safetensors").is_file()
    assert (folder / "run-here/measured/report.html").is_file()
    figures = {
        line.split()[0]: float(line.split()[1]) for line in capsys.readouterr().out.splitlines() if line.endswith(" dB")
    }
    assert set(figures) == {"bicubic", "medsr-retina-x2", "model.safetensors"}
    assert figures["medsr-retina-x2"] > figures["bicubic"] + 1


@pytest.mark.parametrize("example", EXAMPLES.glob("*.py"), ids=lambda path: path.name)
def test_every_example_is_described(example: Path) -> None:
    assert f"python examples/{example.name}" in example.read_text()
