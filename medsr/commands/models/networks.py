"""The networks that a recipe may name: what each costs and where it comes from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import yaml

from medsr.core.resources import resource_dir
from medsr.networks.architectures import DISCRIMINATORS, GENERATORS, Architecture

FIGURES = "networks.yml"
"""Beside the models: what counting found, as that takes torch and a quarter of a minute."""
SIDE = 64
"""Of the low resolution that operations are counted on; discriminators see a crop of 4 times that."""


@dataclass(frozen=True)
class NetworkRow:
    """A network at its default size. `operations`: multiply-adds for a megapixel that comes out (discriminator: in)."""

    name: str
    role: str
    scale: int | None
    parameters: int
    operations: float
    source: str


def networks(counted: bool = False) -> list[NetworkRow]:
    """Every generator at every scale it does, and every discriminator, at its default size.

    `counted`: count anew in place of reading what was counted; a network that has no figures is counted anyway.
    """
    generators = [_row(entry, scale, counted) for entry in GENERATORS for scale in entry.scales]
    return [*generators, *(_row(entry, None, counted) for entry in DISCRIMINATORS)]


def figures_text(rows: Sequence[NetworkRow]) -> str:
    """The file of figures for these rows."""
    figures = {_key(row.name, row.scale): [row.parameters, row.operations] for row in rows}
    head = "# Parameters and multiply-adds for a megapixel of every network at its default size; a test counts anew.\n"
    return head + "".join(
        f"{key}: [{parameters}, {operations!r}]\n" for key, (parameters, operations) in figures.items()
    )


def _row(entry: Architecture, scale: int | None, counted: bool) -> NetworkRow:
    role = "discriminator" if scale is None else "generator"
    known = None if counted else _figures().get(_key(entry.name, scale))
    parameters, operations = known or (_discriminator(entry) if scale is None else _generator(entry, scale))
    return NetworkRow(entry.name, role, scale, parameters, operations, entry.source)


def _key(name: str, scale: int | None) -> str:
    return name if scale is None else f"{name} x{scale}"


@lru_cache(1)
def _figures() -> Mapping[str, tuple[int, float]]:
    figures = yaml.safe_load((resource_dir("pretrained") / FIGURES).read_text(encoding="utf-8"))
    return {key: (int(parameters), float(operations)) for key, (parameters, operations) in figures.items()}


def _generator(entry: Architecture, scale: int) -> tuple[int, float]:
    channels = 1 if entry.kind == "slice" else 3
    inputs = channels + entry.condition_maps
    parameters, operations = _measured(lambda: entry.build(scale, channels), (inputs, SIDE, SIDE))
    return parameters, operations / (SIDE * scale) ** 2 * 1e6


def _discriminator(entry: Architecture) -> tuple[int, float]:
    crop = 4 * SIDE
    parameters, operations = _measured(lambda: entry.build(crop=crop), (3, crop, crop))
    return parameters, operations / crop**2 * 1e6


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
