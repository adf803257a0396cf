"""What a recipe may say: every section, its defaults and its limits."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from typing import Annotated, Any, ClassVar, Literal

import yaml
from pydantic import AfterValidator, BeforeValidator, Discriminator, Field, Tag, model_validator

from medsr.recipe.degradation import Bicubic, HighOrder, SliceProfile, Unknown
from medsr.recipe.fields import (
    Count,
    CountOrNone,
    Flag,
    NotNegative,
    Number,
    Positive,
    Probability,
    Range,
    Section,
)

SMALLEST_BLURRED = 11
"""Side of the smallest image a 21-pixel kernel can blur with its border reflected."""


class StartFrom(Section):
    """Weights to start from: names known to `medsr weights list`, or files."""

    generator: str | None = None
    discriminator: str | None = None


class Rrdb(Section):
    """RRDBNet (ESRGAN, Real-ESRGAN, P1)."""

    scales: ClassVar[tuple[int, ...]] = (1, 2, 4)
    name: Literal["rrdb"] = "rrdb"
    features: Count = 64
    blocks: Count = 23
    growth: Count = 32


class RrdbAggregated(Section):
    """RRDB with residual feature aggregation (ESRGAN-R, P2)."""

    scales: ClassVar[tuple[int, ...]] = (1, 2, 4)
    name: Literal["rrdb-aggregated"]
    features: Count = 64
    blocks: Count = 23
    growth: Count = 32


class SrResNet(Section):
    """SRResNet, SRGAN's generator (P3)."""

    scales: ClassVar[tuple[int, ...]] = (1, 2, 3, 4, 8)
    name: Literal["srresnet"]
    features: Count = 64
    blocks: Count = 16


class ResidualInResidual(Section):
    """P5's generator."""

    scales: ClassVar[tuple[int, ...]] = (1, 2, 3, 4, 8)
    name: Literal["residual-in-residual"]
    features: Count = 64
    blocks: Count = 6
    units: Count = 3


class Rdn(Section):
    """RDN (P4): G0 is `features`, G `growth`, C `convs`, D `blocks`."""

    scales: ClassVar[tuple[int, ...]] = (2, 3, 4, 8)
    name: Literal["rdn"]
    features: Count = 64
    growth: Count = 64
    convs: Count = 4
    blocks: Count = 3


class Rrdn(Section):
    """RRDN (P4): G0 is `features`, G `growth`, C `convs`, D `dense`, T `blocks`."""

    scales: ClassVar[tuple[int, ...]] = (2, 3, 4, 8)
    name: Literal["rrdn"]
    features: Count = 64
    growth: Count = 64
    convs: Count = 4
    dense: Count = 3
    blocks: Count = 10


class Refiner(Section):
    """For volumes: refines a slice that was interpolated to its final size."""

    scales: ClassVar[tuple[int, ...]] = (1,)
    name: Literal["refiner"] = "refiner"
    features: Count = 64
    blocks: Count = 12


class UNetSN(Section):
    """Real-ESRGAN's (P1)."""

    name: Literal["unet-sn"] = "unet-sn"
    features: Count = 64


class Vgg(Section):
    """SRGAN's (P3); `pooled`: P5's, for any crop."""

    name: Literal["vgg"]
    features: Count = 64
    pooled: Flag = False


class AttentionUNet(Section):
    """A-ESRGAN's, on the image and its reductions."""

    name: Literal["attention-unet"]
    features: Count = 64
    scales: Annotated[int, Field(ge=1, le=4)] = 2


class MultiScale(Section):
    """Lanczos reductions of every ground-truth image, beside the original (Real-ESRGAN, P1)."""

    scales: tuple[Annotated[Number, Field(gt=0, lt=1)], ...] = (0.75, 0.5, 1 / 3)
    shortest_edge: Count | None = 400


def _offset_range(value: tuple[float, float]) -> tuple[float, float]:
    if not -1 <= value[0] <= value[1] <= 1:
        raise ValueError("expected two numbers from -1 to 1, the smaller first")
    return value


class Jitter(Section):
    """Intensities of a training crop: each channel times a gain plus an offset (fractions of full range), clipped.

    Without it a network learns the brightness and colour of its training images and shifts those of others.
    """

    gain: Range = (1.0, 1.0)
    offset: Annotated[tuple[Number, Number], AfterValidator(_offset_range)] = (0.0, 0.0)
    shuffle_channels: Flag = False
    contrast: Probability = 0.0
    """How often a slice of a volume gets a contrast drawn at random, so that a network trained on one kind of scan
    (T1) learns edges, not tissues."""


def _fraction_or_name(value: Any) -> Any:
    fraction = isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 1
    if not fraction and not isinstance(value, str):
        raise ValueError("expected a fraction from 0 to below 1, a folder, or a pattern of file names")
    return value


class Data(Section):
    train: str | None = None
    pattern: str = "*"
    validation: Annotated[float | str, BeforeValidator(_fraction_or_name)] = 0.1
    crop: Count = 256
    degrade_crop: Count | None = None
    multiscale: MultiScale | None = None
    flips: Flag = True
    jitter: Jitter | None = None
    darkest_crop: Probability = 0.0
    modality: str = ""
    workers: CountOrNone = 2
    cache_gb: NotNegative = 4.0


class L1(Section):
    weight: NotNegative = 1.0
    sharpened: Flag = True


class Mse(Section):
    weight: NotNegative = 0.0
    sharpened: Flag = False


class Charbonnier(Section):
    """The mean of sqrt(difference^2 + epsilon^2) (Lai et al. 2017)."""

    weight: NotNegative = 0.0
    epsilon: Positive = 1e-3
    sharpened: Flag = False


def _vgg19_layers(layers: dict[str, float]) -> dict[str, float]:
    valid = [f"conv{stage}_{i}" for stage, count in enumerate((2, 2, 4, 4, 4), 1) for i in range(1, count + 1)]
    for layer in layers:
        if layer not in valid:
            raise ValueError(f"{layer!r} is no layer of VGG19")
    if not layers:
        raise ValueError("expected at least one layer")
    return layers


Layers = Annotated[dict[str, NotNegative], AfterValidator(_vgg19_layers)]


class Perceptual(Section):
    """Distance (`criterion`) of VGG19 features, `activation` before or after their ReLU."""

    weight: NotNegative = 1.0
    layers: Layers = {"conv1_2": 0.1, "conv2_2": 0.1, "conv3_4": 1.0, "conv4_4": 1.0, "conv5_4": 1.0}
    activation: Literal["before", "after"] = "before"
    criterion: Literal["l1", "mse"] = "l1"
    sharpened: Flag = True


class Texture(Section):
    """L1 of the Gram matrices of VGG19 features after their ReLU (Gatys et al. 2016; P2's ablation)."""

    weight: NotNegative = 0.0
    layers: Layers = {"conv1_2": 1.0, "conv2_2": 1.0, "conv3_4": 1.0}
    sharpened: Flag = False


class Gan(Section):
    """`relativistic`: every logit less the mean of the other side's (Jolicoeur-Martineau 2018), as in ESRGAN."""

    weight: NotNegative = 0.1
    kind: Literal["vanilla", "lsgan", "hinge", "wgan-gp"] = "vanilla"
    relativistic: Flag = False
    gradient_penalty: Positive = 10.0
    sharpened: Flag = False

    @model_validator(mode="after")
    def _possible(self) -> Gan:
        if self.relativistic and self.kind not in ("vanilla", "lsgan"):
            raise ValueError(f"relativistic: goes with kind vanilla or lsgan, not {self.kind}")
        return self


class Losses(Section):
    l1: L1 = L1()
    mse: Mse = Mse()
    charbonnier: Charbonnier = Charbonnier()
    perceptual: Perceptual = Perceptual(weight=0.0)
    texture: Texture = Texture()
    gan: Gan = Gan(weight=0.0)


class Optimizer(Section):
    name: Literal["adam"] = "adam"
    learning_rate: Positive = 1e-4
    betas: tuple[Probability, Probability] = (0.9, 0.99)
    schedule: Literal["constant", "cosine", "step"] = "constant"
    step: Count | None = None
    factor: Annotated[Number, Field(gt=0, lt=1)] = 0.5
    warmup: CountOrNone = 0
    clip_norm: Positive | None = None

    @model_validator(mode="after")
    def _complete(self) -> Optimizer:
        if (self.schedule == "step") != (self.step is not None):
            raise ValueError("step: iterations between two reductions, exactly with schedule step")
        return self


class Guard(Section):
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


class Protocol(Section):
    """How validation makes its low resolution.

    Images (P1): bicubic down by the scale, then Gaussian blur of that sigma. Volumes: mean downsampling through-plane
    by these factors.
    """

    blur_sigma: NotNegative = 1.0
    factors: tuple[Annotated[Number, Field(gt=1)], ...] = (2.0, 4.0)


def _named(default: str) -> Callable[[Any], Any]:
    """The `name` of a section that comes in several kinds; `default` where it is not said."""
    return lambda value: value.get("name", default) if isinstance(value, dict) else getattr(value, "name", None)


GENERATORS: tuple[Any, ...] = (Rrdb, RrdbAggregated, SrResNet, ResidualInResidual, Rdn, Rrdn, Refiner)
DISCRIMINATORS: tuple[Any, ...] = (UNetSN, Vgg, AttentionUNet)
TAGS: dict[str, type[Section]] = {
    **{one.model_fields["name"].annotation.__args__[0]: one for one in GENERATORS},
    **{one.model_fields["name"].annotation.__args__[0]: one for one in DISCRIMINATORS},
    "high-order": HighOrder,
    "bicubic": Bicubic,
    "unknown": Unknown,
    "slice-profile": SliceProfile,
}
"""Sections that share a key, by name."""


class Recipe(Section):
    """One fine-tuning experiment."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]*$", max_length=100)]
    scale: Literal[1, 2, 3, 4, 8]
    channels: Literal[1, 3] = 3
    start_from: StartFrom = StartFrom()
    generator: Annotated[
        Annotated[Rrdb, Tag("rrdb")]
        | Annotated[RrdbAggregated, Tag("rrdb-aggregated")]
        | Annotated[SrResNet, Tag("srresnet")]
        | Annotated[ResidualInResidual, Tag("residual-in-residual")]
        | Annotated[Rdn, Tag("rdn")]
        | Annotated[Rrdn, Tag("rrdn")]
        | Annotated[Refiner, Tag("refiner")],
        Discriminator(_named("rrdb")),
    ] = Rrdb()
    discriminator: (
        Annotated[
            Annotated[UNetSN, Tag("unet-sn")]
            | Annotated[Vgg, Tag("vgg")]
            | Annotated[AttentionUNet, Tag("attention-unet")],
            Discriminator(_named("unet-sn")),
        ]
        | None
    ) = None
    data: Data = Data()
    degradation: Annotated[
        Annotated[HighOrder, Tag("high-order")]
        | Annotated[Bicubic, Tag("bicubic")]
        | Annotated[Unknown, Tag("unknown")]
        | Annotated[SliceProfile, Tag("slice-profile")],
        Discriminator(_named("high-order")),
    ] = HighOrder()
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
