"""What a run tells while it goes and leaves behind: log, TensorBoard, validation, samples, weights, states."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from medsr.batch.progress import Update
from medsr.core.errors import InputError, TrainingError
from medsr.io.files import write_text
from medsr.io.images import image as image_io
from medsr.networks import checkpoint
from medsr.networks.seen_images import SeenImages
from medsr.recipe import Recipe
from medsr.training import checkpointing, validation
from medsr.training.divergence_guard import Diverged, DivergenceGuard
from medsr.training.training_state import TrainingState


class TrainingLogger:
    """Called after every iteration; decides when to validate, save and stop. One folder, one run."""

    def __init__(
        self, recipe: Recipe, run: Path, spec: checkpoint.Spec, held_out: list[validation.ValidationSample]
    ) -> None:
        self.recipe, self.run, self.spec, self.held_out = recipe, run, spec, held_out
        self.measures = validation.measures(recipe.metric) if held_out else {}
        self.best: dict[str, float] = {}
        """The scores of the best weights so far."""
        self.since_best = 0
        self.since_reduction = 0
        self.stopped_early = False
        self.guard = DivergenceGuard(recipe.guard)
        self.notify: Callable[[str], None] = lambda _: None
        self.precision: str = recipe.precision
        """What is trained in."""
        self.domain: dict[str, Any] = {}
        """What the weights are made for: kind of scan, spacings, factors. Saved with them."""
        self.seen = SeenImages()
        """The images that are trained on and held out. Saved with the weights."""
        self.baseline: validation.Scores | None = None
        """Interpolation on the held-out images."""
        self.show: Update = _silent
        self._board: Any = None
        self._scores = ""

    def begin(self, state: TrainingState, resumed: dict[str, Any] | None) -> None:
        """Open the log: empty for a new run, cut back to the resumed iteration for a continued one."""
        from torch.utils.tensorboard import SummaryWriter

        if resumed is not None:
            self._restore(resumed)
            self._cut_log(state)
        else:
            write_text(self.run / "log.jsonl", "")
        self._board = SummaryWriter(str(self.run / "tensorboard"), purge_step=state.iteration + 1 if resumed else None)
        if resumed is None:
            self._validate(state)

    def after(self, state: TrainingState, losses: dict[str, float], interrupted: bool = False) -> bool:
        """Log, validate and save as the recipe says, or because someone wants to stop. Returns whether to stop.

        Raises Diverged where the losses say that training goes wrong, OSError where nothing can be written.
        """
        self._require_folder()
        iteration, recipe = state.iteration, self.recipe
        last = state.finished(recipe)
        self.guard.see(iteration, losses)
        self._log({"iteration": iteration, **losses})
        for name, value in losses.items():
            self._board.add_scalar(f"loss/{name}" if name != "learning_rate" else name, value, iteration)
        text = " ".join(f"{name} {value:.4f}" for name, value in losses.items() if name != "learning_rate")
        self.show(state.done(recipe), text + self._scores)
        if iteration % recipe.validate_every == 0 or last:
            self._validate(state)
            self._reduce(state)
            self.stopped_early = recipe.patience is not None and self.since_best >= recipe.patience
        stop = self.stopped_early or interrupted
        if iteration % recipe.save_every == 0 or last or stop:
            self.save(state)
        return stop

    def answer(self, state: TrainingState, reason: Diverged, fabric: Any) -> None:
        """Training went wrong: go back to the last saved state, slower, or raise TrainingError, as the recipe says."""
        guard = self.recipe.guard
        states = checkpointing.saved(self.run / "state")
        if guard.action == "stop" or fabric.world_size > 1 or not states or state.rollbacks >= guard.attempts:
            more = f" after going back {state.rollbacks} times" if state.rollbacks else ""
            raise TrainingError(
                f"{reason}; stopped{more}, the weights saved before are whole. Lower optimizer.learning_rate, set "
                "optimizer.clip_norm, use precision fp32, or set guard.action=roll-back"
            )
        saved = checkpointing.load_latest(self.run / "state")
        state.restore(saved, str(fabric.device))
        state.rollbacks += 1
        self._restore(saved["monitor"])
        self._cut_log(state)
        self._log({"iteration": state.iteration, "rollback": state.rollbacks, "reason": str(reason)})
        self.save(state)
        rate = guard.slow_down**state.rollbacks
        self.notify(f"{reason}; back to iteration {state.iteration}, learning rate now times {rate:g}")

    def save(self, state: TrainingState) -> None:
        """The state to resume from, and the EMA weights so far."""
        self._require_folder()
        progress = {"best": self.best, "since_best": self.since_best, "since_reduction": self.since_reduction}
        progress |= {"watch": self.guard.state()}
        content = state.state() | {"monitor": progress}
        checkpointing.save(self.run / "state", state.iteration, content | {"recipe_sha256": self.recipe.sha256()})
        self._save_weights(state, "model.safetensors")
        if state.discriminator is not None and self.recipe.discriminator is not None:
            weights = getattr(state.discriminator, "module", state.discriminator).state_dict()
            name = self.recipe.discriminator.name
            checkpoint.save_discriminator(self.run / "discriminator.safetensors", weights, name)

    def _restore(self, saved: dict[str, Any]) -> None:
        best = saved["best"]
        self.best = best if isinstance(best, dict) else {"psnr": best}  # of 0.1.0
        self.since_best, self.since_reduction = saved["since_best"], saved.get("since_reduction", 0)
        self.guard.restore(saved["watch"])

    def _cut_log(self, state: TrainingState) -> None:
        """Back to what was known at the training state's iteration: whole lines, none of what will be done again."""
        log = self.run / "log.jsonl"
        remaining = [record for record in read_log(self.run) if record["iteration"] <= state.iteration]
        remaining = [record for record in remaining if record.get("rollback", 0) <= state.rollbacks]
        write_text(log, "".join(json.dumps(record) + "\n" for record in remaining))

    def end(self) -> None:
        """Close what is open."""
        self._board.close()

    def _validate(self, state: TrainingState) -> None:
        if not self.held_out:
            return
        model = validation.predictor("EMA", state.ema.module, self.spec, str(_device(state)))
        scores = validation.score(model, self.held_out, self.spec.scale, self.measures)
        iteration, means, metric = state.iteration, scores.means(), self.recipe.metric
        # Seconds are no function of the recipe: only where they decide.
        timed = {"seconds": round(state.seconds, 3)} if self.recipe.minutes is not None else {}
        better = validation.better_on(scores, self.baseline) if self.baseline else None
        self._log({"iteration": iteration, "validation": means, "better_on": better, **timed})
        for name, value in means.items():
            self._board.add_scalar(f"validation/{name}", value, iteration)
        self._scores = f"  validation {scores.psnr:.2f} dB {scores.ssim:.4f}"
        sheet = validation.sample_sheet(model, self.held_out[0], self.spec.scale)
        self._require_folder()
        image_io.write(self.run / "samples" / f"{iteration:08d}.png", sheet)
        self.since_best += 1
        self.since_reduction += 1
        if validation.better(metric, means[metric], self.best.get(metric)):
            self.best, self.since_best, self.since_reduction = means, 0, 0
            self._save_weights(state, "best.safetensors")

    def _reduce(self, state: TrainingState) -> None:
        """Lower the learning rate where validation has been no better for as long as the recipe's plateau."""
        plateau = self.recipe.optimizer.plateau
        if plateau is not None and self.since_reduction >= plateau:
            state.reductions += 1
            self.since_reduction = 0

    def _save_weights(self, state: TrainingState, name: str) -> None:
        training = {
            "recipe": self.recipe.name,
            "recipe_sha256": self.recipe.sha256(),
            "iterations": state.iteration,
            "precision": self.precision,
            "start_from": Path(self.recipe.start_from.generator or "scratch").name,
        }
        if self.domain:
            training["domain"] = self.domain
        training |= self.seen.metadata()
        checkpoint.save(self.run / name, state.ema.module.state_dict(), self.spec, training)

    def _require_folder(self) -> None:
        """See `write_checked`."""
        if not (self.run / "recipe.yml").is_file():
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(self.run))

    def _log(self, record: dict[str, Any]) -> None:
        with (self.run / "log.jsonl").open("a", encoding="utf-8") as log:
            log.write(json.dumps(record) + "\n")


def read_log(run: Path) -> list[dict[str, Any]]:
    """The records of a run's log. Raises InputError naming a line that is damaged."""
    log = run / "log.jsonl"
    records = []
    for number, line in enumerate(_lines(log), 1):
        try:
            record = json.loads(line)
            whole = all(isinstance(record.get(key, 0), int) for key in ("iteration", "rollback"))
        except (ValueError, AttributeError, RecursionError):
            whole, record = False, {}
        if not whole or "iteration" not in record:
            raise InputError(f"{log}: line {number} is damaged; remove that line, then resume")
        records.append(record)
    return records


def _lines(log: Path) -> list[bytes]:
    """Whole lines only: a killed process may leave half of one."""
    if not log.is_file():
        return []
    return [line for line in log.read_bytes().split(b"\n")[:-1] if line]


def _device(state: TrainingState) -> Any:
    return next(state.ema.parameters()).device


def _silent(done: float, text: str = "") -> None:
    """No progress shown."""
