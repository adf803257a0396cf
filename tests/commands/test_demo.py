from __future__ import annotations

import os
from functools import partial
from pathlib import Path

import pytest

from medsr.commands.demo import Row, demo, prepare, verdict
from medsr.commands.upscale.run import upscale
from medsr.core.errors import WeightsError
from medsr.io.images import image as image_io
from medsr.networks import converted, weight_store
from medsr.recipe import load


def test_training_and_held_out_parts_do_not_overlap(tmp_path: Path) -> None:
    """The cut is where the demo says: the held-out part lies right of everything that is trained on."""
    from skimage.data import retina

    train, truth, low = prepare(tmp_path, load("demo_retina"))
    border = round(retina().shape[1] * 0.6)
    sizes = sorted(image_io.read(path).pixels.shape[:2] for path in train.iterdir())
    assert sizes[-1] == (1411, border)
    assert len(sizes) == 5
    height, width = image_io.read(truth).pixels.shape[:2]
    assert 0 <= (1411 - border) - 2 * width < 8
    assert image_io.read(low).pixels.shape[:2] == (height // 2, width // 2)


def test_the_full_demo_says_which_weights_it_needs_before_any_work(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="medsr weights fetch realesrgan-x4plus"):
        demo(tmp_path / "demo", full=True)
    assert not (tmp_path / "demo").exists()


def test_it_says_first_whether_fine_tuning_gained() -> None:
    rows = [Row("bicubic", 30.0, 0.9, 1.0), Row("before", 29.5, 0.9, 1.0), Row("after", 33.25, 0.9, 1.0)]
    assert verdict(rows) == (
        "On the held-out part the fine-tuned model is 3.25 dB better than bicubic (PSNR); "
        "before fine-tuning it was 0.50 dB worse than bicubic."
    )


@pytest.mark.slow
def test_the_full_demo_gains_on_the_official_generator(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One download. A few of its iterations are enough to gain."""
    converted.fetch(weight_store.get("realesrgan-x4plus"))
    recipe = tmp_path / "short.yml"
    recipe.write_text(
        load("demo_full", ["iterations=12", "optimizer.warmup=2", "ema=0.5", "validate_every=12"]).to_yaml()
    )
    monkeypatch.setattr("medsr.commands.demo.FULL_RECIPE", str(recipe))
    # The full network is converted for OpenVINO in minutes, twice, for one small photograph.
    monkeypatch.setattr("medsr.commands.demo.upscale", partial(upscale, engine="torch"))
    rows = {row.model: row for row in demo(tmp_path / "demo", "cpu", full=True)}
    assert rows["after"].psnr > rows["before"].psnr + 0.3


@pytest.mark.slow
def test_demo_fine_tunes_and_gains(tmp_path: Path) -> None:
    """After beats before beats bicubic on the held-out part, within eight minutes of two cores, in one whole page."""
    began = os.times()
    rows = {row.model: row for row in demo(tmp_path / "demo")}
    assert sum(os.times()[:4]) - sum(began[:4]) < 8 * 60 * 2
    assert rows["after"].psnr > rows["before"].psnr > rows["bicubic"].psnr
    assert rows["after"].ssim > rows["bicubic"].ssim
    page = (tmp_path / "demo/report.html").read_text()
    assert page.count("<img") >= 16
    assert "What was measured of medsr-retina-x2" in page
    assert 'src="http' not in page
