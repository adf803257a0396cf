"""A training that lasts minutes instead of iterations."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from medsr.commands.finetune import finetune
from medsr.recipe import load
from medsr.training.result import TrainingResult
from tests.helpers.recipes import write_recipe
from tests.helpers.training import learning_rates, tick

pytestmark = pytest.mark.usefixtures("without_curves")


def test_minutes_end_a_run_and_are_shared_by_its_stages(
    tmp_path: Path, image_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tick(monkeypatch)
    two = [{"name": "a", "iterations": 3}, {"name": "b", "iterations": 1}]
    recipe = write_recipe(tmp_path / "r.yml", minutes=0.0399, stages=two, validate_every=10_000, save_every=10_000)
    assert [load(recipe).stage(n).minutes for n in (0, 1)] == pytest.approx([0.029925, 0.009975])
    result = finetune(recipe, image_folder, out=tmp_path / "run", device="cpu")
    parts = [TrainingResult.of(tmp_path / "run" / name) for name in ("1-a", "2-b")]
    assert [part.iterations for part in parts if part] == [18, 6]  # the first that ends after 1.7955 and 0.5985 s
    assert [part.seconds for part in parts if part] == pytest.approx([1.8, 0.6])
    assert result.iterations == 24  # though the recipe says 4: minutes decide
    records = [json.loads(line) for line in (tmp_path / "run" / "1-a" / "log.jsonl").read_text().splitlines()]
    assert all("seconds" in record for record in records if "validation" in record)


def test_minutes_bring_a_cosine_down_to_nothing(
    tmp_path: Path, image_folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    tick(monkeypatch)
    optimizer = {"learning_rate": 1e-3, "schedule": "cosine"}
    recipe = write_recipe(tmp_path / "r.yml", minutes=0.0332, optimizer=optimizer, iterations=10**6)
    finetune(recipe, image_folder, out=tmp_path / "run", device="cpu")
    assert "2/2  seconds, iteration 20  " in capsys.readouterr().err  # else they would pass for iterations
    rates = learning_rates(tmp_path / "run")
    assert len(rates) == 20
    assert rates[0] == 1e-3
    assert rates == sorted(rates, reverse=True)
    assert rates[-1] < 2e-5
