"""`medsr models`: every generator and discriminator by name, what it costs and where it comes from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from medsr.networks.architectures import DISCRIMINATORS, GENERATORS, Architecture

SIDE = 64
"""Of the low resolution that operations are counted on; discriminators see a crop of 4 times that."""


@dataclass(frozen=True)
class ModelRow:
    """A network at its default size. `operations`: multiply-adds for a megapixel that comes out (discriminator: in)."""

    name: str
    role: str
    scale: int | None
    parameters: int
    operations: float
    source: str


def models() -> list[ModelRow]:
    """Every generator at every scale it does, and every discriminator, at its default size.

    Returns:
        One row each: name, role, scale, parameters, multiply-adds for a megapixel, source.

    Examples:
        >>> import medsr
        >>> sorted({row.role for row in medsr.models()})
        ['discriminator', 'generator']
    """
    generators = [_generator(entry, scale) for entry in GENERATORS for scale in entry.scales]
    return [*generators, *(_discriminator(entry) for entry in DISCRIMINATORS)]


def _generator(entry: Architecture, scale: int) -> ModelRow:
    channels = 1 if entry.kind == "slice" else 3
    inputs = channels + entry.condition_maps
    parameters, operations = _measured(lambda: entry.build(scale, channels), (inputs, SIDE, SIDE))
    return ModelRow(entry.name, "generator", scale, parameters, operations / (SIDE * scale) ** 2 * 1e6, entry.source)


def _discriminator(entry: Architecture) -> ModelRow:
    crop = 4 * SIDE
    parameters, operations = _measured(lambda: entry.build(crop=crop), (3, crop, crop))
    return ModelRow(entry.name, "discriminator", None, parameters, operations / crop**2 * 1e6, entry.source)


def _measured(build: Any, shape: Sequence[int]) -> tuple[int, float]:
    """Trainable parameters, and multiply-adds of one pass. Nothing is allocated."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    with torch.device("meta"):
        net = build().eval()
        low = torch.empty(1, *shape)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        net(low)
    return sum(tensor.numel() for tensor in net.parameters() if tensor.requires_grad), counter.get_total_flops() / 2


def as_dicts(rows: Sequence[ModelRow]) -> list[dict[str, Any]]:
    """For JSON."""
    return [asdict(row) for row in rows]
