"""`medsr finetune`: from a recipe and a folder of ground truth to a run's folder."""

from __future__ import annotations

import logging
import os
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from medsr import recipe as recipes
from medsr.data import datasets, volumes
from medsr.devices import choose
from medsr.errors import StoppedError, TrainingError, UsageError
from medsr.io.files import write_text
from medsr.nets import checkpoint
from medsr.progress import progress
from medsr.recipe import Recipe, SliceProfile
from medsr.train import report, state, validate
from medsr.train import starting as starting_from
from medsr.train.interrupt import Interruption

Say = Callable[[str], None]


@dataclass(frozen=True)
class Result:
    """A finished run. `bicubic`, `start` and `best` are validation scores, None where nothing was held out."""

    run: Path
    model: Path
    iterations: int
    stopped_early: bool
    bicubic: validate.Scores | None
    best_psnr: float | None


def finetune(
    recipe: str | Path,
    data: str | Path | None = None,
    out: str | Path | None = None,
    overrides: list[str] | None = None,
    resume: str | Path | None = None,
    device: str = "auto",
    seed: int | None = None,
    say: Say = lambda _: None,
) -> Result:
    """Fine-tune a generator as `recipe` (a file, or the name of a shipped one) says.

    `data`, `overrides` (`a.b=value`) and `seed` replace what the recipe says. `out`: the run's folder, which must not
    hold a run. `resume`: a run's folder to go on with, by its own recipe; only `iterations` may be raised.
    `say` receives one line for everything the user should know.

    Raises UsageError, WeightsError or TrainingError before or during training; nothing is skipped in silence.
    """
    if resume is not None:
        run = Path(resume)
        settings = _resumed_recipe(recipe, run, out, _overrides(data, overrides, seed))
    else:
        settings = recipes.load(recipe, _overrides(data, overrides, seed))
        run = Path(out) if out else Path("runs") / f"{settings.name}-{time.strftime('%Y%m%d-%H%M%S')}"
        if run.exists() and not run.is_dir():
            raise UsageError(f"{run}: is a file; --out names a folder")
        if (run / "log.jsonl").exists():
            raise UsageError(f"{run}: already holds a run; give another --out, or --resume {run}")
    starting = starting_from.find_weights(settings)
    return _run(settings, run, starting, choose(device), resume is not None, say)


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
        raise UsageError(f"{run}: another process is training there; wait for it, or give another --out") from None
    try:
        yield
    finally:
        lock.release()


def _overrides(data: str | Path | None, overrides: list[str] | None, seed: int | None) -> list[str]:
    more = [f"data.train={_quoted(data)}"] if data is not None else []
    more += [f"seed={seed}"] if seed is not None else []
    return [*(overrides or []), *more]


def _quoted(value: str | Path) -> str:
    import json

    return json.dumps(str(Path(value).expanduser().absolute()))


def _resumed_recipe(name: str | Path, run: Path, out: str | Path | None, overrides: list[str]) -> Recipe:
    """The run's own recipe. What is said again must agree with it; only `iterations` and `data.workers` may differ."""
    saved = run / "recipe.yml"
    if not saved.is_file():
        raise UsageError(f"{run}: not a run's folder (no recipe.yml)")
    before, after = recipes.load(saved), recipes.load(saved, overrides)
    same_data = after.data.model_copy(update={"workers": before.data.workers})
    same = after.model_copy(update={"iterations": before.iterations, "data": same_data}) == before
    if not same or (name and recipes.load(name).name != before.name):
        raise UsageError(
            f"--resume {run}: goes on with the run's own recipe; only iterations and data.workers may change"
        )
    if out is not None and Path(out).resolve() != run.resolve():
        raise UsageError(f"--resume {run}: goes on in that folder; --out {out} is another")
    return after


def _run(recipe: Recipe, run: Path, starting: starting_from.Starting, device: str, resuming: bool, say: Say) -> Result:
    _quiet()
    from lightning_fabric import Fabric

    from medsr.train import loop
    from medsr.train.learner import build_learner
    from medsr.train.losses import GeneratorLoss

    thick = isinstance(recipe.degradation, SliceProfile)
    split = volumes.split if thick else datasets.split
    files = split(recipe.data, recipe.degrade_crop, recipe.seed)
    for path, reason in files.skipped:
        say(f"left out: {reason if str(path) in reason else f'{path}: {reason}'}")
    fabric = Fabric(
        accelerator=device.partition(":")[0],
        devices=_devices(device),
        precision=loop.PRECISIONS[recipe.precision],
    )
    fabric.launch()
    if recipe.batch % (fabric.world_size * recipe.accumulate):
        raise UsageError(f"batch: {recipe.batch} does not divide over {fabric.world_size} devices x accumulate")
    if not fabric.is_global_zero:
        say = _say_nothing
    fabric.seed_everything(recipe.seed, verbose=False)
    generator, spec = starting_from.generator(recipe, starting.generator)
    discriminator = starting_from.discriminator(recipe, starting.discriminator)
    learner = build_learner(recipe, generator, discriminator, fabric)
    held_out = validate.prepare(files.held_out, recipe)
    bicubic = validate.baseline_scores(held_out) if held_out else None
    _announce(recipe, files, bicubic, device, say)

    loss = GeneratorLoss(recipe.losses, starting.vgg19, str(fabric.device))
    ready = _Ready(recipe, run, files, fabric, learner, spec, held_out, bicubic, loss)
    with _alone(run, fabric.is_global_zero):
        try:
            return _go(ready, resuming, say)
        except OSError as error:
            states = state.saved(run / "state")
            whole = f", the state of iteration {int(states[-1].stem)} is whole" if states else ""
            gone = not (run / "recipe.yml").is_file()
            what = f"{run}: the run's folder is gone" if gone else f"{error.filename or run}: {error.strerror or error}"
            raise TrainingError(
                f"{what}; stopped{whole}. When that is mended: medsr finetune --resume {run}"
            ) from error


@dataclass(frozen=True)
class _Ready:
    """A run with everything loaded, about to begin."""

    recipe: Recipe
    run: Path
    files: datasets.Split
    fabric: Any
    learner: Any
    spec: checkpoint.Spec
    held_out: list[validate.HeldOut]
    bicubic: validate.Scores | None
    loss: Any


def _go(ready: _Ready, resuming: bool, say: Say) -> Result:
    from medsr.train import loop
    from medsr.train.monitor import Monitor

    recipe, run, fabric, learner = ready.recipe, ready.run, ready.fabric, ready.learner
    thick = isinstance(recipe.degradation, SliceProfile)
    monitor = Monitor(recipe, run, ready.spec, ready.held_out)
    monitor.domain = volumes.domain(recipe, ready.files.train) if thick else {}
    monitor.say = say
    resumed = None
    if resuming and not state.saved(run / "state"):
        say("no state was saved yet: starting from the beginning")
    elif resuming:
        saved = state.load_latest(run / "state")
        learner.restore(saved, str(fabric.device))
        if learner.iteration >= recipe.iterations:
            raise UsageError(f"{run}: is already at iteration {learner.iteration}; go further with --set iterations=N")
        resumed = saved["monitor"]
        say(f"resumed after iteration {learner.iteration}")
    if fabric.is_global_zero:
        state.clean(run)
        write_text(run / "recipe.yml", recipe.to_yaml())
        monitor.begin(learner, resumed)
    crops: datasets.Crops
    if thick:
        crops = volumes.SliceCrops(ready.files.train, recipe.data, recipe.degrade_crop, recipe.seed)
    else:
        crops = datasets.GroundTruthCrops(
            ready.files.train, recipe.data, recipe.degrade_crop, recipe.channels, recipe.seed
        )
    began, first = time.monotonic(), learner.iteration
    with Interruption() as interruption, progress(recipe.name, recipe.iterations, learner.iteration) as update:

        def show(done: float, text: str = "") -> None:
            rate = (done - first) / max(time.monotonic() - began, 1e-9)
            update(done, f"{text}  {rate:.2f} it/s")

        monitor.show = show
        loop.train(recipe, learner, crops, ready.loss, monitor, fabric, interruption)
    if interruption.received is not None and learner.iteration < recipe.iterations:
        monitor.end()
        raise StoppedError(
            f"stopped by {interruption.received.name} after iteration {learner.iteration}, which is saved; "
            f"go on with: medsr finetune --resume {run}",
            interruption.exit_code,
        )
    if fabric.is_global_zero:
        monitor.end()
        report.write(run, recipe, ready.bicubic, len(ready.files.skipped))
    best = monitor.best if ready.held_out else None
    return Result(run, run / "model.safetensors", learner.iteration, monitor.stopped_early, ready.bicubic, best)


def _devices(device: str) -> int | str | list[int]:
    """How many devices Fabric takes: as many as torchrun started processes, every GPU, or the one named."""
    if "LOCAL_WORLD_SIZE" in os.environ:
        return int(os.environ["LOCAL_WORLD_SIZE"])
    kind, _, index = device.partition(":")
    if index:
        return [int(index)]
    return "auto" if kind == "cuda" else 1


def _say_nothing(_: str) -> None:
    """What the other devices' processes say."""


def _announce(recipe: Recipe, files: datasets.Split, bicubic: validate.Scores | None, device: str, say: Say) -> None:
    images = len({source.path for source in files.train})
    kind = "volumes" if isinstance(recipe.degradation, SliceProfile) else "images"
    reductions = f" ({len(files.train)} with reductions)" if len(files.train) > images else ""
    say(f"{images} {kind} to train on{reductions}, {len(files.held_out)} held out, on {device}")
    if bicubic:
        name = validate.describe_protocol(recipe)[1]
        say(f"{name} on the held-out images: {bicubic.psnr:.2f} dB, SSIM {bicubic.ssim:.4f}")
    elif recipe.patience is not None:
        raise TrainingError("patience needs held-out images: data.validation is 0")


def _quiet() -> None:
    """Third-party chatter that tells the user nothing they could act on."""
    logging.getLogger("lightning_fabric").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module=r"lightning_fabric|torch\.utils\.tensorboard|tensorboard")
    warnings.filterwarnings("ignore", message=".*(DataLoader will create|does not have many workers|pin_memory).*")


def describe(result: Result) -> list[str]:
    """What to tell the user at the end."""
    lines = [f"model: {result.model}", f"report: {result.run / 'report.html'}"]
    if result.bicubic and result.best_psnr is not None:
        gain: Any = result.best_psnr - result.bicubic.psnr
        lines.insert(0, f"best validation PSNR {result.best_psnr:.2f} dB, {gain:+.2f} over interpolation")
    if result.stopped_early:
        lines.insert(
            0, f"stopped early after {result.iterations} iterations: no better result for the recipe's patience"
        )
    return lines
