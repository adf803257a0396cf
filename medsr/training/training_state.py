"""Everything that learns, and everything that must be saved for a run to go on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from medsr.core.devices import training_memory_format
from medsr.core.errors import TrainingError
from medsr.recipe import Optimizer, Recipe
from medsr.training.pool import PairPool

if TYPE_CHECKING:
    import torch
    from torch import nn


@dataclass
class TrainingState:
    """Everything that learns and everything that must be saved to go on."""

    generator: Any
    discriminator: Any
    generator_optimizer: Any
    discriminator_optimizer: Any
    ema: Any
    pool: PairPool
    precision: Any = None
    iteration: int = 0
    rollbacks: int = 0
    """How often training has gone back to a saved state; each time the learning rate is lowered."""
    reductions: int = 0
    """How often a plateau has lowered the learning rate."""
    seconds: float = 0.0
    """Of training so far, without validation and saving."""

    def done(self, recipe: Recipe) -> float:
        """What is done of `total(recipe)`: iterations, or seconds where the recipe counts minutes."""
        return self.iteration if recipe.minutes is None else min(self.seconds, total(recipe))

    def finished(self, recipe: Recipe) -> bool:
        """Whether the recipe asks for no more."""
        return self.done(recipe) >= total(recipe)

    def state(self) -> dict[str, Any]:
        """All of it as plain containers of tensors."""
        return {
            "iteration": self.iteration,
            "rollbacks": self.rollbacks,
            "reductions": self.reductions,
            "seconds": self.seconds,
            "precision": self.precision.state_dict() if self.precision is not None else {},
            "pool": self.pool.state_dict(),
            **{name: part.state_dict() for name, part in self._parts().items()},
        }

    def restore(self, state: dict[str, Any], device: str) -> None:
        """Go back to a saved state. Raises TrainingError when it belongs to another recipe."""
        try:
            for name, part in self._parts().items():
                part.load_state_dict(state[name])
        except (KeyError, RuntimeError, ValueError) as error:
            raise TrainingError(f"the saved state does not fit this recipe: {str(error).splitlines()[0]}") from error
        self.pool.load_state_dict(state["pool"], device)
        self.iteration = int(state["iteration"])
        self.rollbacks, self.reductions = int(state["rollbacks"]), int(state.get("reductions", 0))
        self.seconds = float(state.get("seconds", 0.0))
        if self.precision is not None and state.get("precision"):
            self.precision.load_state_dict(state["precision"])
        for optimizer in (self.generator_optimizer, self.discriminator_optimizer):
            if optimizer is not None:
                optimizer.zero_grad()

    def _parts(self) -> dict[str, Any]:
        parts = {"generator": self.generator, "generator_optimizer": self.generator_optimizer, "ema": self.ema}
        if self.discriminator is not None:
            parts |= {"discriminator": self.discriminator, "discriminator_optimizer": self.discriminator_optimizer}
        return parts


def total(recipe: Recipe) -> float:
    """The work a recipe asks for: iterations, or seconds where it counts minutes."""
    return recipe.iterations if recipe.minutes is None else 60 * recipe.minutes


def build_training_state(
    recipe: Recipe, generator: nn.Module, discriminator: nn.Module | None, fabric: Any
) -> TrainingState:
    """Networks, optimizers and EMA on the device, ready to train."""
    from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

    layout = {"memory_format": training_memory_format(str(fabric.device))}
    ema = AveragedModel(generator, multi_avg_fn=get_ema_multi_avg_fn(recipe.ema)).to(fabric.device, **layout)
    ema.n_averaged.fill_(1)  # the average begins with the starting weights, as Real-ESRGAN's does
    ema.requires_grad_(False)
    fused = fabric.device.type == "cuda"
    if recipe.compile:  # in place: the names of the weights stay
        # All crops of a stage have one shape. Left to guess from an earlier stage's, torch makes the shape a variable,
        # which its compiler then cannot order (torch 2.14: "cannot determine truth value of Relational").
        generator.compile(dynamic=False)
        if discriminator is not None:
            discriminator.compile(dynamic=False)
    generator, generator_optimizer = fabric.setup(generator.to(**layout), _adam(generator, recipe.optimizer, fused))
    discriminator_optimizer = None
    if discriminator is not None:
        discriminator_optimizer = _adam(discriminator, recipe.optimizer, fused)
        discriminator, discriminator_optimizer = fabric.setup(discriminator.to(**layout), discriminator_optimizer)
    pool = PairPool(recipe.degradation.pool)
    scaler = fabric._precision if recipe.precision == "fp16" else None  # the only precision with a state: its scale
    return TrainingState(generator, discriminator, generator_optimizer, discriminator_optimizer, ema, pool, scaler)


def _adam(net: nn.Module, settings: Optimizer, fused: bool) -> torch.optim.Optimizer:
    import torch

    return torch.optim.Adam(net.parameters(), lr=settings.learning_rate, betas=settings.betas, fused=fused)
