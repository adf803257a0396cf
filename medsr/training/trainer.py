"""One run: one recipe without stages, one folder, from its first iteration or its last saved state to its end."""

from __future__ import annotations

import logging
import os
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from medsr.batch.progress import progress
from medsr.core.devices import computes_bf16
from medsr.core.errors import StoppedError, TrainingError, UsageError
from medsr.core.types import Notify
from medsr.data import file_list, sources, volumes
from medsr.data.trained_on import seen_images
from medsr.io.files import write_text
from medsr.networks import checkpoint
from medsr.networks.learned_from import learned_from
from medsr.networks.seen_images import SeenImages
from medsr.recipe import Recipe
from medsr.training import checkpointing, initial_weights, processes, report, result, validation
from medsr.training.degradations import strategy_of
from medsr.training.interrupt import Interruption
from medsr.training.result import TrainingResult
from medsr.training.training_state import total
from medsr.training.verdict import verdict

if TYPE_CHECKING:
    from medsr.training.training_logger import TrainingLogger


@contextmanager
def _alone(run: Path, first: bool) -> Iterator[None]:
    """Hold the run's folder, for the `first` of several devices. Raises UsageError where another process holds it."""
    from filelock import FileLock, Timeout

    if not first:
        yield
        return
    (run / "state").mkdir(parents=True, exist_ok=True)
    lock = FileLock(run / "state" / ".lock", timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise UsageError(f"{run}: another process is training there; wait for it, or give another `out`") from None
    try:
        yield
    finally:
        lock.release()


def train(
    recipe: Recipe, run: Path, device: str, resuming: bool, notify: Notify, whole: Path | None = None
) -> TrainingResult:
    """Train as `recipe` says in the folder `run`. Raises UsageError, WeightsError, TrainingError or StoppedError.

    `whole`: the folder to resume by, where this run is a part of that one.
    """
    if str(run).encode("utf-8", "replace") != os.fsencode(run):
        raise UsageError(f"`out={run}`: TensorBoard takes no folder whose name is not UTF-8; choose another")
    weights = initial_weights.find_weights(recipe)
    _quiet()
    from lightning_fabric import Fabric

    from medsr.training import loop
    from medsr.training.losses import GeneratorLoss
    from medsr.training.training_state import build_training_state

    recorded = file_list.of(run, recipe)
    files = find_files(recipe, recorded)
    for path, reason in files.skipped:
        notify(f"left out: {reason if str(path) in reason else f'{path}: {reason}'}")
    precision = "fp32" if recipe.precision == "bf16" and not computes_bf16(device) else recipe.precision
    fabric = Fabric(
        accelerator=device.partition(":")[0], **processes.places(device), precision=loop.PRECISIONS[precision]
    )
    fabric.launch()
    if recipe.batch % (fabric.world_size * recipe.accumulate):
        raise UsageError(f"batch: {recipe.batch} does not divide over {fabric.world_size} devices x accumulate")
    if not fabric.is_global_zero:
        notify = _no_notice
    if precision != recipe.precision:
        notify(f"precision: no {recipe.precision} in {device}'s hardware was found: training in {precision} instead")
    fabric.seed_everything(recipe.seed, verbose=False)
    generator, spec, carried_over = initial_weights.generator(recipe, weights.generator)
    if carried_over:
        notify(carried_over)
    discriminator = initial_weights.discriminator(recipe, weights.discriminator)
    state = build_training_state(recipe, generator, discriminator, fabric)
    held_out = strategy_of(recipe).validation_samples(files.held_out, recipe)
    bicubic = validation.baseline_scores(held_out, validation.measures(recipe.metric)) if held_out else None
    _announce(recipe, files, bicubic, device, notify)

    loss = GeneratorLoss(recipe.losses, weights.features, str(fabric.device))
    seen = learned_from(weights.generator) if weights.generator else SeenImages()
    ready = _Ready(recipe, run, whole or run, files, fabric, precision, state, spec, held_out, bicubic, loss, seen)
    with _alone(run, fabric.is_global_zero):
        try:
            return _go(ready, resuming, notify)
        except OSError as error:
            states = checkpointing.saved(run / "state")
            last = f", the state of iteration {int(states[-1].stem)} is whole" if states else ""
            gone = not (run / "recipe.yml").is_file()
            what = f"{run}: the run's folder is gone" if gone else f"{error.filename or run}: {error.strerror or error}"
            raise TrainingError(
                f"{what}; stopped{last}. When that is mended: medsr finetune --resume {whole or run}"
            ) from error


@dataclass(frozen=True)
class _Ready:
    """A run with everything loaded, about to begin."""

    recipe: Recipe
    run: Path
    whole: Path
    files: sources.DataSplit
    fabric: Any
    precision: str
    state: Any
    spec: checkpoint.Spec
    held_out: list[validation.ValidationSample]
    bicubic: validation.Scores | None
    loss: Any
    seen_before: SeenImages
    """What the weights it begins with were trained on."""


def _go(ready: _Ready, resuming: bool, notify: Notify) -> TrainingResult:
    from medsr.training import loop
    from medsr.training.training_logger import TrainingLogger, read_log

    recipe, run, fabric, state = ready.recipe, ready.run, ready.fabric, ready.state
    logger = TrainingLogger(recipe, run, ready.spec, ready.held_out)
    logger.precision = ready.precision
    logger.domain = volumes.domain(recipe, ready.files.train) if recipe.thick_slices else {}
    logger.notify = notify
    logger.baseline = ready.bicubic
    resumed = None
    if resuming and not checkpointing.saved(run / "state"):
        notify("no state was saved yet: starting from the beginning")
    elif resuming:
        saved = checkpointing.load_latest(run / "state")
        state.restore(saved, str(fabric.device))
        if not fabric.is_global_zero:
            state.pool.pairs.clear()  # what was saved is the first device's; the others' fill anew
        if state.finished(recipe) and TrainingResult.of(run) is not None:
            further = "iterations" if recipe.minutes is None else "minutes"
            raise UsageError(
                f"{run}: is already at iteration {state.iteration}; go further with `overrides={further}=N`"
            )
        resumed = saved["monitor"]
        notify(f"resumed after iteration {state.iteration}")
    if fabric.is_global_zero:
        checkpointing.clean(run)
        listed = file_list.of_split(recipe, ready.files, file_list.of(run, recipe))
        file_list.write(run, listed)
        logger.seen = seen_images(listed) | ready.seen_before
        write_text(run / "recipe.yml", recipe.to_yaml())
        logger.begin(state, resumed)
        (run / result.FILE).unlink(missing_ok=True)
    dataset = strategy_of(recipe).crops(recipe, ready.files)
    began, first = time.monotonic(), state.iteration
    with Interruption() as interruption, progress(recipe.name, total(recipe), state.done(recipe)) as update:

        def show(done: float, text: str = "") -> None:
            rate = (state.iteration - first) / max(time.monotonic() - began, 1e-9)
            counted = "" if recipe.minutes is None else f"seconds, iteration {state.iteration}  "
            update(done, f"{counted}{text}  {rate:.2f} it/s")

        logger.show = show
        if not state.finished(recipe):  # else it was killed before its report was written
            loop.train(recipe, state, dataset, ready.loss, logger, fabric, interruption)
    if interruption.received is not None and not state.finished(recipe):
        logger.end()
        raise StoppedError(
            f"stopped by {interruption.received.name} after iteration {state.iteration}, which is saved; "
            f"go on with: medsr finetune --resume {ready.whole}",
            interruption.exit_code,
        )
    if fabric.is_global_zero:
        logger.end()
        training_result = _result(ready, logger, read_log(run))
        report.write(training_result, recipe, ready.bicubic, len(ready.files.skipped))
        training_result.save()
    fabric.barrier()
    outcome = TrainingResult.of(run)
    assert outcome is not None
    return outcome


def _result(ready: _Ready, logger: TrainingLogger, log: list[dict[str, Any]]) -> TrainingResult:
    """What came of a run that has ended, with its verdict."""
    records = [record for record in log if "validation" in record]
    scores = [record["validation"] for record in records] or [{}]
    bicubic = ready.bicubic.means() if ready.bicubic else {}
    outcome = TrainingResult(
        ready.run,
        ready.state.iteration,
        round(ready.state.seconds, 3),
        logger.stopped_early,
        bicubic,
        scores[0],
        logger.best,
        scores[-1],
        data=str(ready.recipe.data.train),
        images=len({source.path for source in ready.files.train}),
        held_out=len(ready.files.held_out),
        samples=len(ready.held_out),
        better_on=records[-1].get("better_on") if records else None,
        start_from="/".join(Path(ready.recipe.start_from.generator or "").parts[-2:]),
    )
    return replace(outcome, verdict=verdict(ready.recipe, outcome))


def find_files(recipe: Recipe, recorded: file_list.FileList | None = None) -> sources.DataSplit:
    """What a recipe trains on and holds out; as the `known` list says, if any. Raises UsageError for nothing."""
    kept = recorded.paths(file_list.HELD_OUT) if recorded else None
    files = strategy_of(recipe).split(recipe, kept)
    return file_list.restricted(files, recorded) if recorded else files


def _no_notice(_: str) -> None:
    """What the other devices' processes say."""


def _announce(
    recipe: Recipe, files: sources.DataSplit, bicubic: validation.Scores | None, device: str, notify: Notify
) -> None:
    images = len({source.path for source in files.train})
    kind = strategy_of(recipe).kind
    reductions = f" ({len(files.train)} with reductions)" if len(files.train) > images else ""
    notify(f"{images} {kind} to train on{reductions}, {len(files.held_out)} held out, on {device}")
    if bicubic:
        name = strategy_of(recipe).baseline
        notify(f"{name} on the held-out images: {bicubic.psnr:.2f} dB, SSIM {bicubic.ssim:.4f}")
    elif recipe.patience is not None or recipe.optimizer.schedule == "plateau":
        raise TrainingError("patience and a plateau need held-out images: data.validation is 0")


def _quiet() -> None:
    """Third-party chatter that tells the user nothing they could act on."""
    logging.getLogger("lightning_fabric").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module=r"lightning_fabric|torch\.utils\.tensorboard|tensorboard")
    warnings.filterwarnings("ignore", message=".*(DataLoader will create|does not have many workers|pin_memory).*")
