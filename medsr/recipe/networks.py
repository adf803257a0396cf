"""The networks a recipe may name, and their sizes."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Discriminator, Field, Tag

from medsr.recipe.fields import Count, Flag, Section, named


class Rrdb(Section):
    """RRDBNet (ESRGAN, Real-ESRGAN, P1). At scales 1 and 2 it folds 4 x 4 or 2 x 2 pixels into one."""

    scales: ClassVar[tuple[int, ...]] = (1, 2, 4)
    folds: ClassVar[dict[int, int]] = {1: 4, 2: 2}
    name: Literal["rrdb"] = "rrdb"
    features: Count = 64
    blocks: Count = 23
    growth: Count = 32


class RrdbAggregated(Section):
    """RRDB with residual feature aggregation (ESRGAN-R, P2)."""

    scales: ClassVar[tuple[int, ...]] = Rrdb.scales
    folds: ClassVar[dict[int, int]] = Rrdb.folds
    name: Literal["rrdb-aggregated"]
    features: Count = 64
    blocks: Count = 23
    growth: Count = 32


class SrResNet(Section):
    """SRResNet, SRGAN's generator (P3)."""

    scales: ClassVar[tuple[int, ...]] = (1, 2, 3, 4, 8)
    folds: ClassVar[dict[int, int]] = {}
    name: Literal["srresnet"]
    features: Count = 64
    blocks: Count = 16


class ResidualInResidual(Section):
    """P5's generator."""

    scales: ClassVar[tuple[int, ...]] = (1, 2, 3, 4, 8)
    folds: ClassVar[dict[int, int]] = {}
    name: Literal["residual-in-residual"]
    features: Count = 64
    blocks: Count = 6
    units: Count = 3


class Rdn(Section):
    """RDN (P4): G0 is `features`, G `growth`, C `convs`, D `blocks`."""

    scales: ClassVar[tuple[int, ...]] = (2, 3, 4, 8)
    folds: ClassVar[dict[int, int]] = {}
    name: Literal["rdn"]
    features: Count = 64
    growth: Count = 64
    convs: Count = 4
    blocks: Count = 3


class Rrdn(Section):
    """RRDN (P4): G0 is `features`, G `growth`, C `convs`, D `dense`, T `blocks`."""

    scales: ClassVar[tuple[int, ...]] = (2, 3, 4, 8)
    folds: ClassVar[dict[int, int]] = {}
    name: Literal["rrdn"]
    features: Count = 64
    growth: Count = 64
    convs: Count = 4
    dense: Count = 3
    blocks: Count = 10


class Refiner(Section):
    """For volumes: refines a slice that was interpolated to its final size."""

    scales: ClassVar[tuple[int, ...]] = (1,)
    folds: ClassVar[dict[int, int]] = {}
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


Generator = Annotated[
    Annotated[Rrdb, Tag("rrdb")]
    | Annotated[RrdbAggregated, Tag("rrdb-aggregated")]
    | Annotated[SrResNet, Tag("srresnet")]
    | Annotated[ResidualInResidual, Tag("residual-in-residual")]
    | Annotated[Rdn, Tag("rdn")]
    | Annotated[Rrdn, Tag("rrdn")]
    | Annotated[Refiner, Tag("refiner")],
    Discriminator(named("rrdb")),
]
Critic = Annotated[
    Annotated[UNetSN, Tag("unet-sn")] | Annotated[Vgg, Tag("vgg")] | Annotated[AttentionUNet, Tag("attention-unet")],
    Discriminator(named("unet-sn")),
]
"""A discriminator; pydantic has taken the word."""
GENERATORS: tuple[Any, ...] = (Rrdb, RrdbAggregated, SrResNet, ResidualInResidual, Rdn, Rrdn, Refiner)
DISCRIMINATORS: tuple[Any, ...] = (UNetSN, Vgg, AttentionUNet)
