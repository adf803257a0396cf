"""What a run tells while it goes and leaves behind: log, TensorBoard, validation, samples, weights, states."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from medsr.infer.image import Network
from medsr.infer.slices import Refiner
from medsr.io import image as image_io
from medsr.nets import checkpoint
from medsr.progress import Update
from medsr.recipe import Recipe
from medsr.train import state, validate
from medsr.train.learner import Learner


class Monitor:
    """Called after every iteration; decides when to validate, save and stop. One folder, one run."""

    def __init__(self, recipe: Recipe, run: Path, spec: checkpoint.Spec, held_out: list[validate.HeldOut]) -> None:
        self.recipe, self.run, self.spec, self.held_out = recipe, run, spec, held_out
        self.best = float("-inf")
        self.since_best = 0
        self.stopped_early = False
        self.domain: dict[str, Any] = {}
        """What the weights are made for: kind of scan, spacings, factors. Saved with them."""
        self.show: Update = _silent
        self._board: Any = None
        self._scores = ""

    def begin(self, learner: Learner, resumed: dict[str, Any] | None) -> None:
        """Open the log: empty for a new run, cut back to the resumed iteration for a continued one."""
        from torch.utils.tensorboard import SummaryWriter

        log = self.run / "log.jsonl"
        kept: list[str] = []
        if resumed is not None:
            self.best, self.since_best = resumed["best"], resumed["since_best"]
            kept = [line for line in _lines(log) if json.loads(line)["iteration"] <= learner.iteration]
        log.write_text("".join(line + "\n" for line in kept), encoding="utf-8")
        self._board = SummaryWriter(
            str(self.run / "tensorboard"), purge_step=learner.iteration + 1 if resumed else None
        )
        if resumed is None:
            self._validate(learner)

    def after(self, learner: Learner, losses: dict[str, float]) -> bool:
        """Log, validate and save as the recipe says. Returns whether to stop."""
        iteration, recipe = learner.iteration, self.recipe
        last = iteration == recipe.iterations
        self._log({"iteration": iteration, **losses})
        for name, value in losses.items():
            self._board.add_scalar(f"loss/{name}" if name != "learning_rate" else name, value, iteration)
        shown = " ".join(f"{name} {value:.4f}" for name, value in losses.items() if name != "learning_rate")
        self.show(iteration, shown + self._scores)
        if iteration % recipe.validate_every == 0 or last:
            self._validate(learner)
            self.stopped_early = recipe.patience is not None and self.since_best >= recipe.patience
        if iteration % recipe.save_every == 0 or last or self.stopped_early:
            self.save(learner)
        return self.stopped_early

    def save(self, learner: Learner) -> None:
        """The state to resume from, and the EMA weights so far."""
        content = learner.state() | {"monitor": {"best": self.best, "since_best": self.since_best}}
        state.save(self.run / "state", learner.iteration, content | {"recipe_sha256": self.recipe.sha256()})
        self._save_weights(learner, "model.safetensors")

    def end(self) -> None:
        """Close what is open."""
        self._board.close()

    def _validate(self, learner: Learner) -> None:
        if not self.held_out:
            return
        model = self._model(learner)
        scores = validate.score(model, self.held_out, self.spec.scale)
        learner.ema.train()
        iteration = learner.iteration
        self._log({"iteration": iteration, "validation": {"psnr": scores.psnr, "ssim": scores.ssim}})
        self._board.add_scalar("validation/psnr", scores.psnr, iteration)
        self._board.add_scalar("validation/ssim", scores.ssim, iteration)
        self._scores = f"  validation {scores.psnr:.2f} dB {scores.ssim:.4f}"
        sheet = validate.sample_sheet(model, self.held_out[0], self.spec.scale)
        image_io.write(self.run / "samples" / f"{iteration:08d}.png", sheet)
        self.since_best += 1
        if scores.psnr > self.best:
            self.best, self.since_best = scores.psnr, 0
            self._save_weights(learner, "best.safetensors")

    def _model(self, learner: Learner) -> validate.Predict:
        net, device = learner.ema.module, str(_device(learner))
        if self.spec.architecture == "refiner":
            return Refiner("EMA", net, device)
        return Network("EMA", net, self.spec.scale, self.spec.channels, device)

    def _save_weights(self, learner: Learner, name: str) -> None:
        training = {
            "recipe": self.recipe.name,
            "recipe_sha256": self.recipe.sha256(),
            "iterations": learner.iteration,
            "start_from": self.recipe.start_from.generator or "scratch",
        }
        if self.domain:
            training["domain"] = self.domain
        checkpoint.save(self.run / name, learner.ema.module.state_dict(), self.spec, training)

    def _log(self, record: dict[str, Any]) -> None:
        with (self.run / "log.jsonl").open("a", encoding="utf-8") as log:
            log.write(json.dumps(record) + "\n")


def read_log(run: Path) -> list[dict[str, Any]]:
    """The records of a run's log."""
    return [json.loads(line) for line in _lines(run / "log.jsonl")]


def _lines(log: Path) -> list[str]:
    """Whole lines only: a killed process may leave half of one."""
    if not log.is_file():
        return []
    return [line for line in log.read_text(encoding="utf-8").split("\n")[:-1] if line]


def _device(learner: Learner) -> Any:
    return next(learner.ema.parameters()).device


def _silent(done: float, text: str = "") -> None:
    """No progress shown."""
