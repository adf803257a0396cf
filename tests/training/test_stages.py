"""Stages of one recipe: each begins where the last one ended, and all resume."""

from __future__ import annotations

import json
import signal
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch

from medsr.commands.finetune import finetune
from medsr.commands.upscale.run import upscale
from medsr.core.errors import StoppedError, UsageError, WeightsError
from medsr.io.images import image as image_io
from medsr.networks import checkpoint
from medsr.recipe import load
from medsr.training import stages, training_logger
from medsr.training.result import TrainingResult
from tests.helpers.recipes import STAGES, write_recipe
from tests.helpers.training import read_weights

pytestmark = pytest.mark.usefixtures("without_curves")


def test_two_stages_in_one_recipe(tmp_path: Path, image_folder: Path) -> None:
    recipe = write_recipe(tmp_path / "r.yml", stages=STAGES)
    lines: list[str] = []
    result = finetune(recipe, image_folder, out=tmp_path / "run", device="cpu", notify=lines.append)
    first, second = tmp_path / "run" / "1-faithful", tmp_path / "run" / "2-sharp"
    assert result.iterations == 7
    assert {"l1"} == _losses(first)
    assert {"l1", "gan", "discriminator_real", "discriminator_fake"} == _losses(second)
    began = TrainingResult.of(second)
    ended = TrainingResult.of(first)
    assert began is not None
    assert ended is not None
    assert began.start["psnr"] == ended.best["psnr"]  # it goes on from there
    for name in ("model.safetensors", "best.safetensors"):
        assert (tmp_path / "run" / name).read_bytes() == (second / name).read_bytes()
    page = (tmp_path / "run" / "report.html").read_text()
    assert "1-faithful/report.html" in page
    assert str(tmp_path) not in json.dumps(checkpoint.describe(second / "model.safetensors"))


def _losses(run: Path) -> set[str]:
    record = json.loads((run / "log.jsonl").read_text().splitlines()[1])
    return set(record) - {"iteration", "learning_rate"}


def test_stages_resume_where_they_were_stopped(
    tmp_path: Path, image_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = write_recipe(tmp_path / "r.yml", stages=STAGES, save_every=1)
    whole = finetune(recipe, image_folder, out=tmp_path / "whole", device="cpu")
    after = training_logger.TrainingLogger.after

    def killed(
        self: training_logger.TrainingLogger, training_state: Any, losses: dict[str, float], interrupted: bool = False
    ) -> bool:
        stop = after(self, training_state, losses, interrupted)
        if self.run.name == "2-sharp" and training_state.iteration == 2:
            raise KeyboardInterrupt
        return stop

    with monkeypatch.context() as patch:
        patch.setattr(training_logger.TrainingLogger, "after", killed)
        with pytest.raises(KeyboardInterrupt):
            finetune(recipe, image_folder, out=tmp_path / "run", device="cpu")
    lines: list[str] = []
    resumed = finetune("", resume=tmp_path / "run", device="cpu", notify=lines.append)
    assert "stage faithful: finished before" in lines
    assert "resumed after iteration 2" in lines
    assert resumed.iterations == whole.iterations
    own, others = read_weights(resumed.model), read_weights(whole.model)
    assert all(torch.equal(own[name], others[name]) for name in others)
    with pytest.raises(UsageError, match=r"only data\.workers and the folders of data may change"):
        finetune("", resume=tmp_path / "run", overrides=["iterations=50"])


def test_a_stopped_stage_is_gone_on_with_by_the_whole_run(
    tmp_path: Path, image_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:

    after = training_logger.TrainingLogger.after

    def stopped(
        self: training_logger.TrainingLogger, training_state: Any, losses: dict[str, float], interrupted: bool = False
    ) -> bool:
        if self.run.name == "2-sharp" and training_state.iteration == 1:
            signal.raise_signal(signal.SIGTERM)
            interrupted = True
        return after(self, training_state, losses, interrupted)

    monkeypatch.setattr(training_logger.TrainingLogger, "after", stopped)
    with pytest.raises(StoppedError, match=f"--resume {tmp_path / 'run'}$"):
        finetune(write_recipe(tmp_path / "r.yml", stages=STAGES), image_folder, out=tmp_path / "run", device="cpu")
    monkeypatch.undo()
    assert finetune("", resume=tmp_path / "run", device="cpu").iterations == 7


def test_progressive_factors_carry_the_weights_over(tmp_path: Path, image_folder: Path) -> None:
    steps = [{"name": "x2"}, {"name": "x4", "scale": 4}, {"name": "x8", "scale": 8, "data": {"crop": 64}}]
    recipe = write_recipe(tmp_path / "r.yml", stages=steps, optimizer={"learning_rate": 1e-9}, iterations=2)
    lines: list[str] = []
    result = finetune(recipe, image_folder, out=tmp_path / "run", device="cpu", notify=lines.append)
    nets = [read_weights(stages.stage_folder(load(recipe), tmp_path / "run", n) / "best.safetensors") for n in range(3)]
    for before, after in pairwise(nets):
        assert torch.allclose(
            before["body.0.inner.0.convs.0.weight"], after["body.0.inner.0.convs.0.weight"], atol=1e-6
        )
        assert len(after) > len(before)
    assert sum("of the weights taken from" in line for line in lines) == 2
    assert upscale(image_folder / "eye_0.png", tmp_path / "up", model=result.model, engine="torch")[0].error is None
    assert image_io.read(tmp_path / "up" / "eye_0.png").pixels.shape == (768, 768, 3)


def test_what_a_later_stage_needs_is_looked_for_first(tmp_path: Path, image_folder: Path) -> None:
    late = [{"name": "a"}, {"name": "b", "losses": {"perceptual": {"weight": 1}}}]
    with pytest.raises(WeightsError, match="needs VGG19"):
        finetune(write_recipe(tmp_path / "r.yml", stages=late), image_folder, out=tmp_path / "run", device="cpu")
    lpips = [{"name": "a"}, {"name": "b", "metric": "lpips"}]
    with pytest.raises(WeightsError, match="alexnet"):
        finetune(write_recipe(tmp_path / "r.yml", stages=lpips), image_folder, out=tmp_path / "run", device="cpu")
    recipe = write_recipe(tmp_path / "r.yml", stages=STAGES)
    with pytest.raises(UsageError, match="is not a folder"):
        finetune(recipe, tmp_path / "nothing", out=tmp_path / "run", device="cpu")
    assert not (tmp_path / "run").exists()  # a mended command may use the folder


def test_killed_before_its_report_a_run_is_finished_when_resumed(tmp_path: Path, image_folder: Path) -> None:
    whole = finetune(write_recipe(tmp_path / "r.yml", stages=STAGES), image_folder, out=tmp_path / "run", device="cpu")
    for name in ("result.json", "1-faithful/result.json"):
        (tmp_path / "run" / name).unlink()
    (tmp_path / "run" / "1-faithful" / "report.html").unlink()
    again = finetune("", resume=tmp_path / "run", device="cpu")
    assert (again.best, again.end, again.iterations) == (whole.best, whole.end, whole.iterations)
    assert (tmp_path / "run" / "1-faithful" / "report.html").is_file()
