"""The training loop, on Lightning Fabric: reads top to bottom."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Any

import numpy as np

from medsr.core.devices import training_memory_format
from medsr.data.batches import Crops, batches
from medsr.data.streams import stream
from medsr.recipe import Optimizer, Recipe
from medsr.training.degradations import strategy_of
from medsr.training.divergence_guard import Diverged
from medsr.training.interrupt import Interruption
from medsr.training.losses import GeneratorLoss
from medsr.training.training_logger import TrainingLogger
from medsr.training.training_state import TrainingState, total

if TYPE_CHECKING:
    from torch import Tensor

PRECISIONS = {"fp32": "32-true", "bf16": "bf16-mixed", "fp16": "16-mixed"}
_DEGRADE, _POOL, _CROP, _PENALTY = 1_000_001, 1_000_002, 1_000_003, 1_000_004


def train(
    recipe: Recipe,
    state: TrainingState,
    crops: Crops,
    loss: GeneratorLoss,
    logger: TrainingLogger,
    fabric: Any,
    interruption: Interruption,
) -> None:
    """Train from the iteration after `state.iteration` to the recipe's last, or until something says stop.

    Several devices share each batch; the first one alone watches and writes. Where training goes wrong, the logger
    goes back to the last saved state, or raises TrainingError, as the recipe says.
    """
    while True:
        try:
            return _train(recipe, state, crops, loss, logger, fabric, interruption)
        except Diverged as reason:
            logger.answer(state, reason, fabric)


def _train(
    recipe: Recipe,
    state: TrainingState,
    crops: Crops,
    loss: GeneratorLoss,
    logger: TrainingLogger,
    fabric: Any,
    interruption: Interruption,
) -> None:
    share = recipe.batch // fabric.world_size
    slots = range(fabric.global_rank * share, (fabric.global_rank + 1) * share)
    last = recipe.iterations if recipe.minutes is None else None
    began = time.monotonic()
    for batch in batches(crops, state.iteration + 1, last, slots):
        state.iteration += 1
        losses = step(recipe, state, fabric.to_device(batch), loss, fabric)
        state.seconds += time.monotonic() - began
        stop = fabric.is_global_zero and logger.after(state, losses, interruption.received is not None)
        stop = stop or state.finished(recipe)
        if fabric.world_size > 1:
            stop, state.seconds, state.reductions = fabric.broadcast((stop, state.seconds, state.reductions))
        if stop:
            return
        began = time.monotonic()


def step(
    recipe: Recipe, state: TrainingState, batch: list[Tensor], loss: GeneratorLoss, fabric: Any
) -> dict[str, float]:
    """One iteration: degrade, generator, discriminator, EMA. Returns the losses; raises on one that is not finite."""
    before = state.iteration - 1 if recipe.minutes is None else state.done(recipe)
    rate = learning_rate(recipe.optimizer, state.iteration, before / total(recipe), state.reductions)
    rate *= recipe.guard.slow_down**state.rollbacks
    pairs = _pairs(recipe, state, batch, fabric.global_rank)
    losses: dict[str, float] = {}
    generated = _generator_step(recipe, state, pairs, loss, fabric, rate, losses)
    if state.discriminator is not None:
        _discriminator_step(recipe, state, pairs, generated, loss, fabric, rate, losses)
    state.ema.update_parameters(_unwrapped(state.generator))
    losses["learning_rate"] = rate
    return losses


def learning_rate(optimizer: Optimizer, iteration: int, share: float, reductions: int = 0) -> float:
    """The learning rate of an iteration (from 1): linear warm-up, then constant, half a cosine down to 0, or steps.

    `share`: of the training, done before it. `reductions`: by plateaus.
    """
    warm = min(1.0, iteration / optimizer.warmup) if optimizer.warmup else 1.0
    if optimizer.schedule == "cosine":
        return optimizer.learning_rate * warm * (0.5 + 0.5 * math.cos(math.pi * share))
    steps = (iteration - 1) // optimizer.step if optimizer.step is not None else reductions
    return optimizer.learning_rate * warm * float(optimizer.factor**steps)


def _generator_step(
    recipe: Recipe,
    state: TrainingState,
    pairs: list[tuple[Tensor, Tensor]],
    loss: GeneratorLoss,
    fabric: Any,
    rate: float,
    losses: dict[str, float],
) -> list[Tensor]:
    if state.discriminator is not None:
        state.discriminator.requires_grad_(False)
    generated = []
    for index, (high, low) in enumerate(pairs):
        with fabric.no_backward_sync(state.generator, enabled=index + 1 < len(pairs)):
            result = state.generator(low)
            parts = loss(result.float(), high, state.discriminator)
            _note(parts, losses, len(pairs), state.iteration)
            fabric.backward(sum(parts.values()) / len(pairs))
        generated.append(result.detach())
    _optimize(state.generator, state.generator_optimizer, recipe.optimizer, fabric, rate)
    return generated


def _discriminator_step(
    recipe: Recipe,
    state: TrainingState,
    pairs: list[tuple[Tensor, Tensor]],
    generated: list[Tensor],
    loss: GeneratorLoss,
    fabric: Any,
    rate: float,
    losses: dict[str, float],
) -> None:
    state.discriminator.requires_grad_(True)
    for index, ((high, _), result) in enumerate(zip(pairs, generated, strict=True)):
        with fabric.no_backward_sync(state.discriminator, enabled=index + 1 < len(pairs)):
            rng = stream(recipe.seed, state.iteration, _PENALTY + 10 * (fabric.global_rank * recipe.accumulate + index))
            for parts in loss.gan.of_discriminator(state.discriminator, loss.target("gan", high), result, rng):
                _note(parts, losses, len(pairs), state.iteration)
                fabric.backward(sum(parts.values()) / len(pairs))
    _optimize(state.discriminator, state.discriminator_optimizer, recipe.optimizer, fabric, rate)


def _optimize(net: Any, optimizer: Any, settings: Optimizer, fabric: Any, rate: float) -> None:
    for group in optimizer.param_groups:
        group["lr"] = rate
    if settings.clip_norm is not None:
        fabric.clip_gradients(net, optimizer, max_norm=settings.clip_norm)
    optimizer.step()
    optimizer.zero_grad()


def _pairs(recipe: Recipe, state: TrainingState, batch: list[Tensor], rank: int) -> list[tuple[Tensor, Tensor]]:
    """The iteration's (ground truth, low resolution) crops, one pair of tensors per accumulated part.

    `batch`: ground truth, and low resolution where it comes from files. Every part of every device draws from a stream
    of its own.
    """
    import torch

    seed, iteration = recipe.seed, state.iteration
    parts = []
    with torch.no_grad():
        chunks = zip(*(tensor.chunk(recipe.accumulate) for tensor in batch), strict=True)
        for index, (high, *low_crops) in enumerate(chunks, rank * recipe.accumulate):
            rng = stream(seed, iteration, _DEGRADE + 10 * index)
            low = low_crops[0] if low_crops else strategy_of(recipe).apply(recipe, high, rng)
            cropped = _paired_crop(high, low, recipe, stream(seed, iteration, _CROP + 10 * index))
            pair = state.pool.swap(*cropped, stream(seed, iteration, _POOL + 10 * index))
            layout = {"memory_format": training_memory_format(str(high.device))}
            parts.append((pair[0].contiguous(**layout), pair[1].contiguous(**layout)))
    return parts


def _paired_crop(high: Tensor, low: Tensor, recipe: Recipe, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    """Cut the same place out of both; the border of the degraded image, where blur had no neighbours, mostly goes."""
    side = recipe.data.crop // recipe.scale
    room = low.shape[-1] - side
    top, left = (int(value) for value in rng.integers(room + 1, size=2))
    scale = recipe.scale
    cut_low = low[..., top : top + side, left : left + side]
    region = (..., slice(top * scale, (top + side) * scale), slice(left * scale, (left + side) * scale))
    return high[region], cut_low


def _note(parts: dict[str, Tensor], losses: dict[str, float], count: int, iteration: int) -> None:
    for name, value in parts.items():
        number = float(value.detach())
        if not math.isfinite(number):
            raise Diverged(f"iteration {iteration}: the {name} loss is {number}")
        losses[name] = losses.get(name, 0.0) + number / count


def _unwrapped(net: Any) -> Any:
    return getattr(net, "module", net)
