"""What a run says of itself at its end: whether to use the weights, and why not."""

from __future__ import annotations

import html
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from medsr.commands.evaluate.run import evaluate
from medsr.commands.finetune import describe, finetune
from medsr.recipe import Recipe
from medsr.training.result import TrainingResult
from medsr.training.verdict import verdict
from tests.helpers.recipes import GAN, PLAIN, RECIPE, write_recipe


def _result(bicubic: float, start: float, best: float, end: float, **facts: object) -> TrainingResult:
    scores = ({"psnr": psnr, "ssim": 0.9} for psnr in (bicubic, start, best, end))
    whole = {"images": 20, "held_out": 12, "samples": 12, "better_on": 11, "start_from": "medsr-retina-x2"} | facts
    return TrainingResult(Path("run"), 5000, 60.0, False, *scores, **whole)  # type: ignore[arg-type]


def _said(result: TrainingResult, **changes: object) -> str:
    return " ".join(verdict(Recipe.model_validate(PLAIN | changes), result))


def test_better_on_how_many() -> None:
    said = _said(_result(30, 31, 33.42, 33.42))
    assert said == "3.42 dB better than bicubic on 12 held-out images (mean PSNR; better on 11 of them)."
    assert "better on all of them" in _said(_result(30, 31, 33, 33, better_on=12))
    few = _said(_result(30, 31, 33, 33, held_out=2, samples=2, better_on=2))
    assert "But only 2 held-out images decide this" in few


def test_worse_is_not_to_be_used_and_has_reasons() -> None:
    said = _said(_result(30, 31, 31, 26.58, better_on=0, images=4))
    assert said.startswith("3.42 dB worse than bicubic on 12 held-out images (mean PSNR; better on none of them)")
    assert "do not use it" in said
    assert "best.safetensors, of an earlier iteration, is 1.00 dB better than bicubic: use that" in said
    assert "it ended 4.42 dB worse than the weights it began with (medsr-retina-x2)" in said
    assert "lower optimizer.learning_rate" in said
    assert "It learned from 4 images only" in said
    fresh = _said(replace(_result(30, 6, 26, 26, start_from=""), iterations=200))
    assert "fresh weights and had 200 iterations" in fresh
    assert "still improving" in fresh
    assert "A discriminator gives PSNR away" in _said(_result(30, 31, 31, 29), **GAN)
    assert "No better than bicubic (+0.02 dB)" in _said(_result(30, 30, 30.02, 30.02))


def test_nothing_held_out_and_perfect_images_give_no_figure() -> None:
    assert "Nothing was held out" in _said(replace(_result(30, 31, 31, 31), bicubic={}))
    assert "no mean PSNR" in _said(_result(float("inf"), 31, 31, float("inf")))


@pytest.mark.slow
@pytest.mark.usefixtures("without_curves")
def test_the_verdict_is_on_the_page_and_evaluate_knows_what_was_trained_on(image_folder: Path, tmp_path: Path) -> None:
    recipe = write_recipe(tmp_path / "r.yml", RECIPE, iterations=2, validate_every=2)
    result = finetune(recipe, image_folder, out=tmp_path / "run", device="cpu")
    page = (tmp_path / "run/report.html").read_text()
    for sentence in result.verdict:
        assert sentence in html.unescape(page)
    assert str(image_folder) not in page
    assert image_folder.name in page
    told = describe(result)
    assert f"data: {image_folder}" in told
    assert "images: 5 trained on, 1 held out" in told
    assert TrainingResult.of(tmp_path / "run") == result

    measured = tmp_path / "measured"
    measured.mkdir()
    for name in ("eye_0.png", "eye_5.png"):
        shutil.copyfile(image_folder / name, measured / f"renamed_{name}")
    (image_folder / "too_small.png").rename(measured / "eye_9.png")
    lines: list[str] = []
    evaluation = evaluate("folder", measured, models=[result.model], scale=2, device="cpu", notify=lines.append)
    trained = "model.safetensors was trained on 1 of these 3 images: its figures are too good, measure others"
    chosen = "1 of these 3 images chose the weights of model.safetensors: its figures are a little too good"
    assert list(evaluation.seen) == [trained, chosen] == evaluation.to_json()["seen"]
    assert [line for line in lines if "warning" in line] == [f"warning: {trained}", f"warning: {chosen}"]


@pytest.mark.slow
@pytest.mark.usefixtures("without_curves")
def test_what_the_first_weights_were_trained_on_stays_known(image_folder: Path, tmp_path: Path) -> None:
    first = finetune(write_recipe(tmp_path / "r.yml", iterations=1), image_folder, out=tmp_path / "a", device="cpu")
    other = tmp_path / "other"
    other.mkdir()
    for name in ("eye_1.png", "eye_5.png"):
        (image_folder / name).rename(other / name)
    recipe = write_recipe(tmp_path / "s.yml", iterations=1, start_from={"generator": str(first.model)})
    second = finetune(recipe, other, out=tmp_path / "b", device="cpu")
    assert second.start_from == "a/model.safetensors"
    evaluation = evaluate("folder", image_folder, models=[second.model], scale=2, device="cpu")
    assert "was trained on 4 of these" in evaluation.seen[0]
