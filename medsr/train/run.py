"""`medsr finetune`: from a recipe and a folder of ground truth to a run's folder."""

from __future__ import annotations

import logging
import os
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from medsr import recipe as recipes
from medsr.data import datasets, volumes
from medsr.devices import choose
from medsr.errors import TrainingError, UsageError, WeightsError
from medsr.io.files import write_text
from medsr.nets import checkpoint, weights
from medsr.progress import progress
from medsr.recipe import Recipe, SliceProfile
from medsr.train import report, state, validate

if TYPE_CHECKING:
    from torch import nn

VGG19 = "vgg19"
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
    starting = _find_weights(settings)
    return _run(settings, run, starting, choose(device), resume is not None, say)


@dataclass(frozen=True)
class Starting:
    """Weight files found before anything heavy begins."""

    generator: Path | None
    discriminator: Path | None
    vgg19: Path | None


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


def _find_weights(recipe: Recipe) -> Starting:
    start = recipe.start_from
    generator = weights.locate(start.generator) if start.generator else None
    discriminator = weights.locate(start.discriminator) if start.discriminator else None
    vgg19 = None
    if recipe.losses.perceptual.weight > 0:
        try:
            vgg19 = weights.locate(VGG19)
        except WeightsError as error:
            raise WeightsError(
                f"the perceptual loss needs VGG19: {error}; or train without it: --set losses.perceptual.weight=0"
            ) from error
    return Starting(generator, discriminator, vgg19)


def _run(recipe: Recipe, run: Path, starting: Starting, device: str, resuming: bool, say: Say) -> Result:
    _quiet()
    from lightning_fabric import Fabric

    from medsr.train import loop
    from medsr.train.learner import build_learner
    from medsr.train.losses import GeneratorLoss
    from medsr.train.monitor import Monitor

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
    generator, spec = _generator(recipe, starting.generator)
    discriminator = _discriminator(recipe, starting.discriminator)
    learner = build_learner(recipe, generator, discriminator, fabric)
    held_out = validate.prepare(files.held_out, recipe)
    bicubic = validate.baseline_scores(held_out) if held_out else None
    _announce(recipe, files, bicubic, device, say)

    run.mkdir(parents=True, exist_ok=True)
    monitor = Monitor(recipe, run, spec, held_out)
    monitor.domain = volumes.domain(recipe, files.train) if thick else {}
    resumed = None
    if resuming:
        saved = state.load_latest(run / "state")
        learner.restore(saved, str(fabric.device))
        if learner.iteration >= recipe.iterations:
            raise UsageError(f"{run}: is already at iteration {learner.iteration}; go further with --set iterations=N")
        resumed = saved["monitor"]
        say(f"resumed after iteration {learner.iteration}")
    if fabric.is_global_zero:
        write_text(run / "recipe.yml", recipe.to_yaml())
        monitor.begin(learner, resumed)
    crops: datasets.Crops
    if thick:
        crops = volumes.SliceCrops(files.train, recipe.data, recipe.degrade_crop, recipe.seed)
    else:
        crops = datasets.GroundTruthCrops(files.train, recipe.data, recipe.degrade_crop, recipe.channels, recipe.seed)
    loss = GeneratorLoss(recipe.losses, starting.vgg19, str(fabric.device))
    began, first = time.monotonic(), learner.iteration
    with progress(recipe.name, recipe.iterations, learner.iteration) as update:

        def show(done: float, text: str = "") -> None:
            rate = (done - first) / max(time.monotonic() - began, 1e-9)
            update(done, f"{text}  {rate:.2f} it/s")

        monitor.show = show
        loop.train(recipe, learner, crops, loss, monitor, fabric)
    if fabric.is_global_zero:
        monitor.end()
        report.write(run, recipe, bicubic, len(files.skipped))
    best = monitor.best if held_out else None
    return Result(run, run / "model.safetensors", learner.iteration, monitor.stopped_early, bicubic, best)


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


def _generator(recipe: Recipe, start: Path | None) -> tuple[nn.Module, checkpoint.Spec]:
    """The generator to train: loaded, or fresh and close to an interpolator."""
    from medsr.nets.generators import start_near_interpolator

    wanted = recipe.generator
    hyperparameters = wanted.model_dump(exclude={"name"})
    spec = checkpoint.Spec(wanted.name, recipe.scale, recipe.channels, hyperparameters)
    if start is None:
        net = spec.build()
        if wanted.name == "rrdb":  # a refiner begins as the identity by itself
            start_near_interpolator(net)
        return net, spec
    net, found = checkpoint.load(start)
    if found != spec:
        raise UsageError(f"start_from.generator: {start} is {found}, the recipe asks for {spec}")
    return net.requires_grad_(True).train(), spec


def _discriminator(recipe: Recipe, start: Path | None) -> nn.Module | None:
    if recipe.discriminator is None:
        return None
    from medsr.nets.discriminators import BUILDERS

    net = BUILDERS[recipe.discriminator.name](recipe.channels, recipe.discriminator.features)
    if start is not None:
        weights_found, _ = checkpoint.read_state(start)
        try:
            net.load_state_dict(weights_found)
        except RuntimeError as error:
            reason = " ".join(str(error).split())[:200]
            raise WeightsError(f"{start}: does not fit the recipe's discriminator: {reason}") from error
    return net


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
