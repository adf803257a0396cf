"""What a recipe says: all its sections, and what must agree between them."""

from __future__ import annotations

import hashlib
import json
from typing import Annotated, Literal

import yaml
from pydantic import Field, model_validator

from medsr.recipe.data import Data
from medsr.recipe.degradation import DEGRADATIONS, Degradation, HighOrder, SliceProfile
from medsr.recipe.fields import Count, NotNegative, Number, Section, name_of
from medsr.recipe.losses import Losses
from medsr.recipe.networks import DISCRIMINATORS, GENERATORS, AttentionUNet, Critic, Generator, Refiner, Rrdb
from medsr.recipe.training import Guard, Optimizer

SMALLEST_BLURRED = 11
"""Side of the smallest image a 21-pixel kernel can blur with its border reflected."""


class StartFrom(Section):
    """Weights to start from: names known to `medsr weights list`, or files."""

    generator: str | None = None
    discriminator: str | None = None


class Protocol(Section):
    """How validation makes its low resolution.

    Images (P1): bicubic down by the scale, then Gaussian blur of that sigma. Volumes: mean downsampling through-plane
    by these factors.
    """

    blur_sigma: NotNegative = 1.0
    factors: tuple[Annotated[Number, Field(gt=1)], ...] = (2.0, 4.0)


TAGS: dict[str, type[Section]] = {name_of(one): one for one in (*GENERATORS, *DISCRIMINATORS, *DEGRADATIONS)}
"""Sections that share a key, by name."""


class Recipe(Section):
    """One fine-tuning experiment."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]*$", max_length=100)]
    scale: Literal[1, 2, 3, 4, 8]
    channels: Literal[1, 3] = 3
    start_from: StartFrom = StartFrom()
    generator: Generator = Rrdb()
    discriminator: Critic | None = None
    data: Data = Data()
    degradation: Degradation = HighOrder()
    losses: Losses = Losses()
    optimizer: Optimizer = Optimizer()
    ema: Annotated[Number, Field(ge=0, lt=1)] = 0.999
    iterations: Count
    batch: Count = 10
    accumulate: Count = 1
    precision: Literal["fp32", "bf16", "fp16"] = "fp32"
    compile: bool = False
    guard: Guard = Guard()
    protocol: Protocol = Protocol()
    validate_every: Count = 500
    patience: Count | None = None
    save_every: Count = 500
    seed: Annotated[int, Field(strict=True, ge=0, lt=2**32)] = 0

    @model_validator(mode="after")
    def _consistent(self) -> Recipe:
        if self.scale not in self.generator.scales:
            able = ", ".join(map(str, self.generator.scales))
            raise ValueError(f"scale: {self.scale}, {self.generator.name} does {able}")
        if self.batch % self.accumulate:
            raise ValueError(f"batch: {self.batch} does not divide into {self.accumulate} equal parts (accumulate)")
        if self.data.crop % (4 * self.scale):
            raise ValueError(f"data.crop: {self.data.crop} is not a multiple of {4 * self.scale} (4 x scale)")
        if self.degrade_crop < self.data.crop or self.degrade_crop % self.scale:
            raise ValueError(
                f"data.degrade_crop: {self.degrade_crop} must be a multiple of the scale, at least data.crop"
            )
        if isinstance(self.degradation, HighOrder):
            _check_blur(self.degradation, self.degrade_crop, self.scale)
        elif isinstance(self.degradation, SliceProfile) and (self.channels != 1 or self.scale != 1):
            raise ValueError("degradation.name: slice-profile needs scale 1 and channels 1")
        elif isinstance(self.degradation, SliceProfile) and int(self.degrade_crop / self.degradation.factors[1]) < 4:
            raise ValueError(f"data.degrade_crop: {self.degrade_crop} leaves fewer than 4 thick slices")
        if isinstance(self.generator, Refiner) != isinstance(self.degradation, SliceProfile):
            raise ValueError("generator.name: a refiner goes with degradation slice-profile, and only with it")
        if (self.losses.gan.weight > 0) != (self.discriminator is not None):
            raise ValueError("discriminator: must be given exactly when losses.gan.weight is above 0")
        if not any(getattr(self.losses, name).weight for name in Losses.model_fields):
            raise ValueError("losses: every weight is 0")
        if self.losses.gan.kind == "wgan-gp" and self.losses.gan.weight and self.guard.won:
            raise ValueError("guard.won: must be 0 with losses.gan.kind wgan-gp, whose losses fall below 0")
        if isinstance(self.discriminator, AttentionUNet) and self.data.crop % (8 * 2**self.discriminator.scales):
            raise ValueError(f"data.crop: must be a multiple of {8 * 2**self.discriminator.scales} for attention-unet")
        if self.degradation.pool % (self.batch // self.accumulate):
            raise ValueError(f"degradation.pool: {self.degradation.pool} is not a multiple of batch / accumulate")
        if self.start_from.discriminator and self.discriminator is None:
            raise ValueError("start_from.discriminator: there is no discriminator to start")
        return self

    @property
    def degrade_crop(self) -> int:
        """Side of the ground truth that is degraded, before the crop; Real-ESRGAN degrades 400 and keeps 256."""
        return self.data.degrade_crop or self.data.crop

    def to_yaml(self) -> str:
        return yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False)

    def sha256(self) -> str:
        """The hash of what the recipe says, whatever its file's layout."""
        text = json.dumps(self.model_dump(mode="json"), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()


def _check_blur(degradation: HighOrder, side: int, scale: int) -> None:
    first = degradation.first
    lowest = first.resize_range[0] if first.resize_up_down_keep[1] > 0 else 1.0
    smallest = int(side * min(lowest, 1 / scale))
    if smallest < SMALLEST_BLURRED:
        raise ValueError(
            f"data.degrade_crop: {side} can shrink to {smallest} pixels "
            f"(degradation.first.resize_range, scale), blur needs {SMALLEST_BLURRED}"
        )
