"""What a recipe says: all its sections, and what must agree between them."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import ConfigDict, Field, model_validator

from medsr.core.resources import expanded
from medsr.recipe.data import Data
from medsr.recipe.degradation import DEGRADATIONS, Degradation, HighOrder, Pairs, SliceProfile, ThroughPlaneMean
from medsr.recipe.fields import Count, CountOrNone, Flag, NotNegative, Number, Positive, RecipeSection, name_of
from medsr.recipe.losses import Losses
from medsr.recipe.networks import SECTIONS, DiscriminatorConfig, Generator
from medsr.recipe.training import GuardSettings, Optimizer

SMALLEST_BLURRED = 11
"""Side of the smallest image a 21-pixel kernel can blur with its border reflected."""


NAME = r"^[A-Za-z0-9_][A-Za-z0-9_.-]*$"
PREVIOUS = "the stage before"
"""Where a stage's generator comes from, until there is a file."""


class StartFrom(RecipeSection):
    """Weights to start from: names known to `medsr weights list`, or files.

    `matching`: of the generator's tensors only those that fit, for instance of another scale's; the others are new.
    `freeze`: the first convolution and so many of the trunk's blocks are not trained, for few images.
    """

    generator: str | None = None
    discriminator: str | None = None
    matching: Flag = False
    freeze: CountOrNone = 0

    @model_validator(mode="after")
    def _possible(self) -> StartFrom:
        if (self.freeze or self.matching) and self.generator is None:
            raise ValueError("freeze and matching need a generator to start from")
        return self


class Stage(RecipeSection):
    """What a stage changes of the recipe: any of its keys. Its generator starts from the one of the stage before."""

    model_config = ConfigDict(extra="allow", frozen=True)
    name: Annotated[str, Field(pattern=NAME, max_length=30)]


class ValidationProtocol(RecipeSection):
    """How validation makes its low resolution.

    Images (P1): bicubic down by the scale, then Gaussian blur of that sigma. Volumes: mean downsampling through-plane
    by these factors.
    """

    blur_sigma: NotNegative = 1.0
    factors: tuple[Annotated[Number, Field(gt=1)], ...] = (2.0, 4.0)


TAGS: dict[str, type[RecipeSection]] = SECTIONS | {name_of(section): section for section in DEGRADATIONS}
"""Sections that share a key, by name."""


class Recipe(RecipeSection):
    """One fine-tuning experiment."""

    name: Annotated[str, Field(pattern=NAME, max_length=100)]
    scale: Literal[1, 2, 3, 4, 8]
    channels: Literal[1, 3] = 3
    start_from: StartFrom = StartFrom()
    generator: Generator = SECTIONS["rrdb"]()
    discriminator: DiscriminatorConfig | None = None
    data: Data = Data()
    degradation: Degradation = HighOrder()
    losses: Losses = Losses()
    optimizer: Optimizer = Optimizer()
    ema: Annotated[Number, Field(ge=0, lt=1)] = 0.999
    iterations: Count
    minutes: Positive | None = None
    """Of training, validation not counted; instead of `iterations`, which then only say how stages share them."""
    batch: Count = 10
    accumulate: Count = 1
    precision: Literal["fp32", "bf16", "fp16"] = "fp32"
    compile: bool = False
    guard: GuardSettings = GuardSettings()
    protocol: ValidationProtocol = ValidationProtocol()
    validate_every: Count = 500
    metric: Literal["psnr", "ssim", "psnr_y", "mse", "lpips", "lpips_vgg", "dists"] = "psnr"
    """Of the held-out images; says which weights are the best, for `patience` and for a plateau."""
    patience: Count | None = None
    save_every: Count = 500
    seed: Annotated[int, Field(strict=True, ge=0, lt=2**32)] = 0
    stages: tuple[Stage, ...] = ()

    @model_validator(mode="after")
    def _consistent(self) -> Recipe:
        for check in (self._check_networks, self._check_crops, self._check_degradation, self._check_losses):
            check()
        names = [stage.name for stage in self.stages]
        if len(set(names)) < len(names):
            raise ValueError(f"stages: every name once, got {', '.join(names)}")
        for stage in self.stages:
            if "stages" in (stage.model_extra or {}):
                raise ValueError(f"stages: {stage.name} cannot have stages of its own")
            if self.minutes is not None and "minutes" in (stage.model_extra or {}):
                raise ValueError(f"minutes: the stages share the recipe's, and {stage.name} has its own; say one")
        return self

    def _check_networks(self) -> None:
        scales = self.generator.architecture.scales
        if self.scale not in scales:
            able = ", ".join(map(str, scales))
            raise ValueError(f"scale: {self.scale}, {self.generator.name} does {able}")
        if self.batch % self.accumulate:
            raise ValueError(f"batch: {self.batch} does not divide into {self.accumulate} equal parts (accumulate)")
        if self.degradation.pool % (self.batch // self.accumulate):
            raise ValueError(f"degradation.pool: {self.degradation.pool} is not a multiple of batch / accumulate")
        blocks = self.generator.sizes["blocks"]
        if self.start_from.freeze > blocks:
            raise ValueError(f"start_from.freeze: the generator has {blocks} blocks")
        if self.start_from.discriminator and self.discriminator is None:
            raise ValueError("start_from.discriminator: there is no discriminator to start")

    def _check_crops(self) -> None:
        crop, generator = self.data.crop, self.generator.architecture
        folded = (
            self.scale * generator.size_multiple.get(self.scale, 1) * generator.slice_multiple(self.generator.sizes)
        )
        if crop % folded:
            raise ValueError(f"data.crop: {crop} is not a multiple of {folded} (what {self.generator.name} takes)")
        if self.discriminator is not None:
            multiple = self.discriminator.architecture.crop_multiple(self.discriminator.sizes)
            if crop % multiple:
                taker = self.discriminator.name
                raise ValueError(f"data.crop: {crop} is not a multiple of {multiple} (what {taker} takes)")
        if self.degrade_crop < crop or self.degrade_crop % self.scale:
            raise ValueError(
                f"data.degrade_crop: {self.degrade_crop} must be a multiple of the scale, at least data.crop"
            )

    def _check_degradation(self) -> None:
        thick = self.thick_slices
        if not thick and self.data.jitter and (only := self.data.jitter.of_volumes()):
            raise ValueError(f"data.jitter.{only}: for slices of volumes only (degradation slice-profile)")
        if isinstance(self.degradation, HighOrder):
            _check_blur(self.degradation, self.degrade_crop, self.scale)
        if isinstance(self.degradation, Pairs) and self.data.multiscale is not None:
            raise ValueError("data.multiscale: pairs of files have no low resolution of a reduction; leave it out")
        if isinstance(self.degradation, Pairs) and self.data.lesions is not None:
            raise ValueError("data.lesions: pairs of files have no low resolution that shows them; leave it out")
        if self.data.lesions is not None:
            self.data.lesions.check(bool(thick), self.channels, self.data.crop)
        if thick and (self.channels != 1 or self.scale != 1):
            raise ValueError(f"degradation.name: {self.degradation.name} needs scale 1 and channels 1")
        if thick and int(self.degrade_crop / thick.factors[1]) < 4:
            raise ValueError(f"data.degrade_crop: {self.degrade_crop} leaves fewer than 4 thick slices")
        if self.generator.architecture.kind == "slice" and not thick:
            raise ValueError(
                f"generator.name: {self.generator.name} needs degradation slice-profile or through-plane-mean"
            )

    def _check_losses(self) -> None:
        if (self.losses.gan.weight > 0) != (self.discriminator is not None):
            raise ValueError("discriminator: must be given exactly when losses.gan.weight is above 0")
        if not any(getattr(self.losses, name).weight for name in Losses.model_fields):
            raise ValueError("losses: every weight is 0")
        if self.losses.gan.kind == "wgan-gp" and self.losses.gan.weight and self.guard.won:
            raise ValueError("guard.won: must be 0 with losses.gan.kind wgan-gp, whose losses fall below 0")

    @property
    def thick_slices(self) -> SliceProfile | None:
        """How volumes are reduced; None for images."""
        degradation = self.degradation
        if isinstance(degradation, ThroughPlaneMean):
            return degradation.as_slice_profile()
        return degradation if isinstance(degradation, SliceProfile) else None

    def stage(self, index: int) -> Recipe:
        """The recipe of one stage, without stages of its own. Raises pydantic's ValidationError for an impossible one.

        Its generator starts from PREVIOUS where neither it nor, for the first, the recipe says otherwise.
        """
        chosen_stage, content = self.stages[index], self.model_dump(mode="json", exclude={"stages"})
        overrides = chosen_stage.model_extra or {}
        if index:
            content["start_from"] |= {"generator": PREVIOUS, "matching": False}
        content = _merged(content, overrides) | {"name": f"{self.name}-{chosen_stage.name}"}
        if self.minutes is not None:
            counts = [(stage.model_extra or {}).get("iterations", self.iterations) for stage in self.stages]
            if all(isinstance(count, int) and count > 0 for count in counts):
                content["minutes"] = self.minutes * counts[index] / sum(counts)
        return Recipe.model_validate(content)

    @property
    def degrade_crop(self) -> int:
        """Side of the ground truth that is degraded, before the crop; Real-ESRGAN degrades 400 and keeps 256."""
        return self.data.degrade_crop or self.data.crop

    def to_yaml(self) -> str:
        return yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False)

    def for_page(self) -> str:
        """The same with the last names of files and folders alone: where they lie on this machine is not for a page."""
        return yaml.safe_dump(_with_names_only(self.model_dump(mode="json")), sort_keys=False)

    def sha256(self) -> str:
        """The hash of what the recipe says, whatever its file's layout."""
        text = json.dumps(self.model_dump(mode="json"), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()


def _merged(base: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """Keys below keys; a section of another name takes nothing over."""
    merged = dict(base)
    for key, value in changes.items():
        before = base.get(key)
        same = isinstance(value, dict) and isinstance(before, dict) and value.get("name") in (None, before.get("name"))
        merged[key] = _merged(before, value) if same and isinstance(before, dict) else value
    return merged


def _check_blur(degradation: HighOrder, side: int, scale: int) -> None:
    first = degradation.first
    lowest = first.resize_range[0] if first.resize_up_down_keep[1] > 0 else 1.0
    smallest = int(side * min(lowest, 1 / scale))
    if smallest < SMALLEST_BLURRED:
        raise ValueError(
            f"data.degrade_crop: {side} can shrink to {smallest} pixels "
            f"(degradation.first.resize_range, scale), blur needs {SMALLEST_BLURRED}"
        )


def _with_names_only(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _with_names_only(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_with_names_only(item) for item in value]
    return Path(value).name if isinstance(value, str) and expanded(value).is_absolute() else value
