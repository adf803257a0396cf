"""The registry of networks: one entry says everything about an architecture. Imports nothing heavy.

To add one, write its network in a file of its own and add an entry here: recipes, `medsr models`, checkpoints, export,
padding and volumes read it from the entry.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from medsr.core.references import resolve

if TYPE_CHECKING:
    from torch import Tensor, nn

Kind = Literal["image", "slice", "fusion", "discriminator"]
"""What goes in: an image, an interpolated slice of a volume, what two planes made of a slice, an image to be judged."""
Sizes = Mapping[str, int]
State = dict[str, "Tensor"]

SIZE_MULTIPLE = {1: 4, 2: 2, 3: 1, 4: 1, 8: 1}
"""For each scale, what heights and widths must be multiples of so that every network of that scale takes them."""


@dataclass(frozen=True)
class Architecture:
    """A network that a recipe or a weight file may name.

    `medsr models` prints `source`. `builder`, `initialiser` and `adapter` are functions as "module:function".
    """

    name: str
    kind: Kind
    builder: str
    """Of generators (scale, channels, **sizes); of discriminators (channels, crop, **sizes). Returns a network."""
    sizes: Mapping[str, int | bool]
    """The builder's keyword arguments that recipes may set, with their defaults."""
    summary: str
    source: str
    scales: tuple[int, ...] = ()
    size_multiple: Mapping[int, int] = field(default_factory=dict)
    """For each scale, what the sides of the input must be multiples of; 1 where it is not said."""
    slice_multiple: Callable[[Sizes], int] = lambda sizes: 1
    """Of what refines slices: what their sides must be multiples of, by its sizes."""
    crop_multiple: Callable[[Sizes], int] = lambda sizes: 1
    """Of discriminators: what the side of a crop must be a multiple of."""
    condition_maps: int = 0
    """Maps that follow the image's channels in the input. They are constant, but for a fuser's."""
    receptive_radius: Callable[[Sizes], int] | None = None
    """How many pixels away an input pixel can still change an output pixel; None where nobody needs to know."""
    initialiser: str = ""
    """Makes a fresh network begin close to an interpolator; empty where it does by itself."""
    adapter: str = ""
    """Makes weights of other colours or another scale fit; empty where it cannot be done. See `adapt`."""
    trunk: str = ""
    """Regular expression of layers that may be computed in int8; its group is the block's number."""
    openmodeldb: str = ""
    """What OpenModelDB calls it; empty where it does not know it."""
    original: str = ""
    """The package that has the authors' own program, with the same names of weights; empty where none is at hand."""
    original_builder: str = ""
    """As `builder`, of that package's class."""

    def build(self, *arguments: int, **sizes: Any) -> nn.Module:
        """The network with fresh weights."""
        net: nn.Module = resolve(self.builder)(*arguments, **sizes)
        return net

    def build_original(self, *arguments: int, **sizes: Any) -> nn.Module:
        """The authors' program with fresh weights. Raises DependencyError where its package is absent."""
        net: nn.Module = resolve(self.original_builder)(*arguments, **sizes)
        return net

    def initialise(self, net: nn.Module) -> None:
        """Let a fresh network begin close to an interpolator, which saves the first thousands of iterations."""
        if self.initialiser:
            resolve(self.initialiser)(net)

    def adapt(self, state: State, before: int, channels: int, fresh: State) -> State:
        """Weights of a network of `before` channels and any scale, for a network with the weights `fresh`."""
        return resolve(self.adapter)(state, before, channels, fresh) if self.adapter else state


BODY = r"/body(?:/body)?\.(\d+)/"
SUB_PIXEL = (1, 2, 3, 4, 8)

GENERATORS = (
    Architecture(
        "rrdb",
        "image",
        "medsr.networks.rrdb:rrdb",
        {"features": 64, "blocks": 23, "growth": 32},
        "RRDBNet (ESRGAN, Real-ESRGAN, P1). At scales 1 and 2 it folds 4 x 4 or 2 x 2 pixels into one.",
        "ESRGAN, Real-ESRGAN (Wang et al. 2018, 2021); Aghelan and Rouhani (P1)",
        scales=(1, 2, 4),
        size_multiple={1: 4, 2: 2},
        initialiser="medsr.networks.initialisation:rrdb",
        adapter="medsr.networks.rrdb:adapted",
        trunk=BODY,
        openmodeldb="esrgan",
        original="basicsr",
        original_builder="medsr.networks.upstream:rrdb",
    ),
    Architecture(
        "rrdb-aggregated",
        "image",
        "medsr.networks.rrdb_rfa:rrdb_aggregated",
        {"features": 64, "blocks": 23, "growth": 32},
        "RRDB with residual feature aggregation (ESRGAN-R, P2).",
        "ESRGAN-R (Jiang et al., P2), after Liu et al. 2020",
        scales=(1, 2, 4),
        size_multiple={1: 4, 2: 2},
        initialiser="medsr.networks.initialisation:rrdb",
        adapter="medsr.networks.rrdb:adapted",
        trunk=BODY,
    ),
    Architecture(
        "srresnet",
        "image",
        "medsr.networks.srresnet:srresnet",
        {"features": 64, "blocks": 16},
        "SRResNet, SRGAN's generator (P3).",
        "SRGAN (Ledig et al. 2017); P3",
        scales=SUB_PIXEL,
        initialiser="medsr.networks.initialisation:srresnet",
        trunk=BODY,
        openmodeldb="sr-res-net",
    ),
    Architecture(
        "residual-in-residual",
        "image",
        "medsr.networks.srresnet:residual_in_residual",
        {"features": 64, "blocks": 6, "units": 3},
        "P5's generator.",
        "P5",
        scales=SUB_PIXEL,
        initialiser="medsr.networks.initialisation:srresnet",
        trunk=BODY,
    ),
    Architecture(
        "rdn",
        "image",
        "medsr.networks.rdn:rdn",
        {"features": 64, "growth": 64, "convs": 4, "blocks": 3},
        "RDN (P4): G0 is `features`, G `growth`, C `convs`, D `blocks`.",
        "Zhang et al. 2018; P4",
        scales=(2, 3, 4, 8),
        initialiser="medsr.networks.initialisation:rdn",
        trunk=BODY,
    ),
    Architecture(
        "rrdn",
        "image",
        "medsr.networks.rdn:rrdn",
        {"features": 64, "growth": 64, "convs": 4, "dense": 3, "blocks": 10},
        "RRDN (P4): G0 is `features`, G `growth`, C `convs`, D `dense`, T `blocks`.",
        "Le-Tien et al. (P4)",
        scales=(2, 3, 4, 8),
        initialiser="medsr.networks.initialisation:rdn",
        trunk=BODY,
    ),
    Architecture(
        "refiner",
        "slice",
        "medsr.networks.refiner:refiner",
        {"features": 64, "blocks": 12, "fold": 2},
        "For volumes: refines a slice that was interpolated to its final size.",
        "medsr, for volumes; residual blocks of EDSR (Lim et al. 2017)",
        scales=(1,),
        condition_maps=2,
        slice_multiple=lambda sizes: sizes.get("fold", 2),
        # 3 x 3 convolutions where `fold` x `fold` pixels are one
        receptive_radius=lambda sizes: sizes.get("fold", 2) * (2 * sizes.get("blocks", 12) + 3),
        trunk=BODY,
    ),
)
FUSION = Architecture(
    "fuser",
    "fusion",
    "medsr.networks.fuser:fuser",
    {"features": 32, "blocks": 4},
    "Fuses what a slice model made of two planes.",
    "medsr, for volumes; after SAINT (Peng et al. 2020)",
    scales=(1,),
    condition_maps=3,
)
DISCRIMINATORS = (
    Architecture(
        "unet-sn",
        "discriminator",
        "medsr.networks.discriminators:unet_sn",
        {"features": 64},
        "Real-ESRGAN's (P1).",
        "Real-ESRGAN (Wang et al. 2021)",
        crop_multiple=lambda sizes: 8,
        original="realesrgan",
        original_builder="medsr.networks.upstream:unet_sn",
    ),
    Architecture(
        "vgg",
        "discriminator",
        "medsr.networks.discriminators:vgg",
        {"features": 64, "pooled": False},
        "SRGAN's (P3); `pooled`: P5's, for any crop.",
        "SRGAN (Ledig et al. 2017); P3; pooled: P5",
    ),
    Architecture(
        "attention-unet",
        "discriminator",
        "medsr.networks.discriminators:attention_unet",
        {"features": 64, "scales": 2},
        "A-ESRGAN's, on the image and its reductions.",
        "A-ESRGAN (Wei et al. 2021)",
        crop_multiple=lambda sizes: 8 * 2 ** sizes["scales"],
    ),
)
ARCHITECTURES = {entry.name: entry for entry in (*GENERATORS, FUSION, *DISCRIMINATORS)}


def kind_of(name: object) -> Kind | None:
    """What a named architecture takes; None for one that is not ours."""
    entry = ARCHITECTURES.get(str(name))
    return entry.kind if entry else None


def condition_maps(name: object) -> int:
    """How many maps follow the channels of a named architecture's input; 0 for one that is not ours."""
    entry = ARCHITECTURES.get(str(name))
    return entry.condition_maps if entry else 0
