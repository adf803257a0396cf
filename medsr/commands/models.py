"""`medsr models`: every generator and discriminator by name, what it costs and where it comes from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from medsr.networks import discriminators, generators
from medsr.recipe.fields import name_of
from medsr.recipe.networks import DISCRIMINATORS, GENERATORS

SOURCES = {
    "rrdb": "ESRGAN, Real-ESRGAN (Wang et al. 2018, 2021); Aghelan and Rouhani (P1)",
    "rrdb-aggregated": "ESRGAN-R (Jiang et al., P2), after Liu et al. 2020",
    "srresnet": "SRGAN (Ledig et al. 2017); P3",
    "residual-in-residual": "P5",
    "rdn": "Zhang et al. 2018; P4",
    "rrdn": "Le-Tien et al. (P4)",
    "refiner": "medsr, for volumes; residual blocks of EDSR (Lim et al. 2017)",
    "unet-sn": "Real-ESRGAN (Wang et al. 2021)",
    "vgg": "SRGAN (Ledig et al. 2017); P3; pooled: P5",
    "attention-unet": "A-ESRGAN (Wei et al. 2021)",
}
SIDE = 64
"""Of the low resolution that operations are counted on; discriminators see a crop of 4 times that."""


@dataclass(frozen=True)
class Architecture:
    """A network at its default size. `operations`: multiply-adds for a megapixel that comes out (discriminator: in)."""

    name: str
    role: str
    scale: int | None
    parameters: int
    operations: float
    source: str


def models() -> list[Architecture]:
    """All of them, generators at every scale they do."""
    found = [_generator(one, scale) for one in GENERATORS for scale in one.scales]
    return [*found, *(_discriminator(name_of(one)) for one in DISCRIMINATORS)]


def _generator(section: Any, scale: int) -> Architecture:
    name = name_of(section)
    refiner = name == "refiner"
    parameters, operations = _measured(lambda: generators.BUILDERS[name](scale, 1 if refiner else 3), (3, SIDE, SIDE))
    return Architecture(name, "generator", scale, parameters, operations / (SIDE * scale) ** 2 * 1e6, SOURCES[name])


def _discriminator(name: str) -> Architecture:
    crop = 4 * SIDE
    parameters, operations = _measured(lambda: discriminators.BUILDERS[name](crop=crop), (3, crop, crop))
    return Architecture(name, "discriminator", None, parameters, operations / crop**2 * 1e6, SOURCES[name])


def _measured(build: Any, shape: Sequence[int]) -> tuple[int, float]:
    """Trainable parameters, and multiply-adds of one pass. Nothing is allocated."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    with torch.device("meta"), FlopCounterMode(display=False) as counter:
        net = build().eval()
        net(torch.rand(1, *shape))
    return sum(one.numel() for one in net.parameters() if one.requires_grad), counter.get_total_flops() / 2


def as_dicts(found: Sequence[Architecture]) -> list[dict[str, Any]]:
    """For JSON."""
    return [asdict(one) for one in found]
