"""How a recipe trains: optimizer and schedule, and what happens when it goes wrong."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from medsr.recipe.fields import (
    Count,
    CountOrNone,
    NotNegative,
    Number,
    Positive,
    Probability,
    RecipeSection,
)


class Optimizer(RecipeSection):
    """The learning rate times `factor` every `step` iterations, or after `plateau` validations that were no better."""

    name: Literal["adam"] = "adam"
    learning_rate: Positive = 1e-4
    betas: tuple[Probability, Probability] = (0.9, 0.99)
    schedule: Literal["constant", "cosine", "step", "plateau"] = "constant"
    step: Count | None = None
    plateau: Count | None = None
    factor: Annotated[Number, Field(gt=0, lt=1)] = 0.5
    warmup: CountOrNone = 0
    clip_norm: Positive | None = None

    @model_validator(mode="after")
    def _complete(self) -> Optimizer:
        if (self.schedule == "step") != (self.step is not None):
            raise ValueError("step: iterations between two reductions, exactly with schedule step")
        if (self.schedule == "plateau") != (self.plateau is not None):
            raise ValueError("plateau: validations without a better result, exactly with schedule plateau")
        return self


class GuardSettings(RecipeSection):
    """What happens when training goes wrong.

    `action`: stop, or go back to the last saved state and on with the learning rate times `slow_down`, at most
    `attempts` times. Wrong is: a loss that is no number; a generator's loss above `explode` times the median of the
    last `window`; a discriminator's mean loss over `window` below `won` (0: not watched).
    """

    action: Literal["stop", "roll-back"] = "stop"
    explode: Annotated[Number, Field(gt=1)] = 50.0
    won: NotNegative = 0.02
    window: Count = 100
    slow_down: Annotated[Number, Field(gt=0, lt=1)] = 0.5
    attempts: Count = 3
