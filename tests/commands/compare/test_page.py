"""The page of a comparison begins with what came out, and repeats the card of the model that recipes started from."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from medsr.commands.compare import page
from medsr.commands.compare.entry import Entry, Leaf
from medsr.report.page import Picture
from medsr.training.result import TrainingResult
from medsr.training.validation import Scores

BICUBIC = Scores({"psnr": [30.0, 31.0], "ssim": [0.9, 0.9], "psnr_y": [31.0, 32.0]})


def _entry(folder: Path, recipe: str, stage: str, gains: list[float]) -> Entry:
    run = folder / recipe / stage
    run.mkdir(parents=True)
    (run / "log.jsonl").write_text(json.dumps({"iteration": 1, "validation": {"psnr": 30.0}}) + "\n")
    result = TrainingResult(run, 1, 60.0, False, {}, {}, {}, {})
    psnrs = [base + gain for base, gain in zip(BICUBIC.per_image["psnr"], gains, strict=True)]
    return Entry(Leaf(recipe, stage, result), 1000, Scores({**BICUBIC.per_image, "psnr": psnrs}), 6.0, BICUBIC)


def test_it_begins_with_each_recipes_last_weights_the_best_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(page, "curves", lambda caption, *_, **__: Picture(caption, "data:,"))
    entries = [
        _entry(tmp_path, "slow", "", [-1.0, -2.0]),
        _entry(tmp_path, "two", "l1", [4.0, 4.0]),
        _entry(tmp_path, "two", "gan", [1.0, 2.0]),
    ]
    recipes = {"slow": "name: slow", "two": "name: two"}
    summary = page.ComparisonSummary("P", "bicubic", "a minute each", ("a", "b"), recipes, ("medsr-retina-x2",))
    page.write(tmp_path / "compare.html", entries, [], {"ground truth": []}, summary)
    html = (tmp_path / "compare.html").read_text()
    lead = html.split("<p>", 1)[1].split("</p>", 1)[0]
    assert lead.startswith(
        "two: gan is better than bicubic on all 2 images: by 1.50 dB of PSNR on average. "
        "slow is worse than bicubic on all 2 images: by 1.50 dB of PSNR on average. 2 recipes"
    )
    assert "What was measured of medsr-retina-x2" in html
    assert "the worst image gains +2.98 dB" in html
