"""Watching a training go wrong: values that are no numbers, a loss that explodes, a discriminator that has won."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping
from statistics import median
from typing import Any

from medsr.recipe import GuardSettings as Settings

SMALLEST = 1e-8


class Diverged(Exception):  # noqa: N818 - not an error yet: the recipe says what follows
    """Training has gone wrong; the message says how."""


class DivergenceGuard:
    """The last losses, and what they are judged by. Its state is saved with the run."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.generator: deque[float] = deque(maxlen=settings.window)
        self.discriminator: deque[float] = deque(maxlen=settings.window)

    def see(self, iteration: int, losses: Mapping[str, float]) -> None:
        """One iteration's losses. Raises Diverged."""
        for name, value in losses.items():
            if not math.isfinite(value):
                raise Diverged(f"iteration {iteration}: the {name} loss is {value}")
        generator_loss = sum(
            value for name, value in losses.items() if not name.startswith(("discriminator", "learning_rate"))
        )
        discriminator_losses = [value for name, value in losses.items() if name.startswith("discriminator")]
        if len(self.generator) == self.settings.window:
            usual = max(median(map(abs, self.generator)), SMALLEST)  # a hinge loss may be below zero
            if abs(generator_loss) > self.settings.explode * usual:
                raise Diverged(
                    f"iteration {iteration}: the loss jumped to {generator_loss:.4g}, "
                    f"{generator_loss / usual:.0f} times its median"
                )
        self.generator.append(generator_loss)
        if discriminator_losses:
            self.discriminator.append(sum(discriminator_losses))
            mean = sum(self.discriminator) / len(self.discriminator)
            if len(self.discriminator) == self.settings.window and mean < self.settings.won:
                raise Diverged(
                    f"iteration {iteration}: the discriminator has won: its mean loss over {self.settings.window} "
                    f"iterations is {mean:.4g}"
                )

    def state(self) -> dict[str, Any]:
        """As plain lists."""
        return {"generator": list(self.generator), "discriminator": list(self.discriminator)}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go back to a saved state."""
        self.generator = deque(state["generator"], self.settings.window)
        self.discriminator = deque(state["discriminator"], self.settings.window)
