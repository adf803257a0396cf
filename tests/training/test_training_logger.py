"""What validation decides: a lower learning rate, an early end, the best weights. And the log."""

from __future__ import annotations

from pathlib import Path

import pytest

from medsr.commands.finetune import describe, finetune
from medsr.core.errors import InputError
from medsr.training.training_logger import read_log
from tests.helpers.recipes import write_recipe
from tests.helpers.training import learning_rates, script_validation

pytestmark = pytest.mark.usefixtures("without_curves")


def test_a_plateau_lowers_the_learning_rate(
    tmp_path: Path, image_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    optimizer = {"learning_rate": 1e-3, "schedule": "plateau", "plateau": 2, "factor": 0.5}
    recipe = write_recipe(tmp_path / "r.yml", optimizer=optimizer, iterations=10, validate_every=1, save_every=3)
    # bicubic, start, then one an iteration: better, worse, worse, worse, worse, best of all, worse ...
    script_validation(monkeypatch, [20, 20, 21, 20, 20, 20, 20, 22, 21, 21, 21, 21])
    finetune(recipe, image_folder, out=tmp_path / "run", device="cpu")
    expected = [1, 1, 1, 0.5, 0.5, 0.25, 0.25, 0.25, 0.125, 0.125]
    assert learning_rates(tmp_path / "run") == pytest.approx([1e-3 * share for share in expected])


def test_a_plateau_is_remembered_when_resuming(
    tmp_path: Path, image_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    optimizer = {"learning_rate": 1e-3, "schedule": "plateau", "plateau": 2, "factor": 0.5}
    recipe = write_recipe(tmp_path / "r.yml", optimizer=optimizer, iterations=4, validate_every=1, save_every=1)
    script_validation(monkeypatch, [20, 20, 21, 20, 20, 20, *[20, 20, 20, 20]])
    finetune(recipe, image_folder, out=tmp_path / "run", device="cpu")
    finetune("", resume=tmp_path / "run", overrides=["iterations=7"], device="cpu")
    # of the first four: reduced after the third; the fourth was the first without a better result since
    assert learning_rates(tmp_path / "run") == pytest.approx([1e-3, 1e-3, 1e-3, 5e-4, 5e-4, 2.5e-4, 2.5e-4])


@pytest.mark.parametrize(("metric", "values"), [("ssim", [1, 2, 3, 2, 2, 9]), ("mse", [9, 8, 7, 8, 8, 1])])
def test_any_metric_stops_early_and_names_the_best(
    tmp_path: Path, image_folder: Path, monkeypatch: pytest.MonkeyPatch, metric: str, values: list[float]
) -> None:
    recipe = write_recipe(tmp_path / "r.yml", metric=metric, patience=2, validate_every=1, iterations=9)
    script_validation(monkeypatch, [0, *values])
    result = finetune(recipe, image_folder, out=tmp_path / "run", device="cpu")
    assert result.stopped_early
    assert result.iterations == 4
    assert result.best[metric] == values[2]


def test_patience_stops_early(recipe: Path, image_folder: Path, tmp_path: Path) -> None:
    more = ["optimizer.learning_rate=1e-30", "iterations=50", "patience=2"]
    result = finetune(recipe, image_folder, out=tmp_path / "run", overrides=more, device="cpu")
    assert result.stopped_early
    assert result.iterations == 6  # validated at 0, 3 and 6, never better
    assert "stopped early" in describe(result)[0]


@pytest.mark.parametrize(
    "line",
    ["{", "[]", "{}", '{"iteration": "x"}', "[" * 99_999, "\udcff"],
    ids=["cut", "list", "empty", "text", "deep", "bytes"],
)
def test_a_damaged_line_of_the_log_is_named(tmp_path: Path, line: str) -> None:
    log = tmp_path / "log.jsonl"
    log.write_bytes(b'{"iteration": 1}\n' + line.encode("utf-8", "surrogateescape") + b"\n")
    with pytest.raises(InputError, match=r"log\.jsonl: line 2 is damaged; remove that line"):
        read_log(tmp_path)
