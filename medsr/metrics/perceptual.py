"""Perceptual distances by name. Each is measured where the weights that it needs are on this machine."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import cast

from medsr.core.types import Distance
from medsr.networks import weight_store


@dataclass(frozen=True)
class PerceptualMetric:
    """`module`: of medsr.metrics; its function of that name takes `arguments` and the device.

    `weights`: the names of those it needs; `version`: for the printed protocol. Modules are imported when measured,
    because they import torch.
    """

    module: str
    arguments: tuple[str, ...]
    weights: tuple[str, ...]
    version: str

    def build(self, device: str) -> Distance:
        """Raises WeightsError where the weights are not on this machine, or damaged."""
        function = getattr(import_module(f"medsr.metrics.{self.module}"), self.module)
        return cast(Distance, function(*self.arguments, device=device))


METRICS = {
    "lpips": PerceptualMetric("lpips", ("alexnet",), ("alexnet",), "alexnet, version 0.1"),
    "lpips_vgg": PerceptualMetric("lpips", ("vgg16",), ("vgg16",), "vgg16, version 0.1"),
    "dists": PerceptualMetric("dists", (), ("vgg16", "dists"), "vgg16, its authors' weights, at full size"),
}


def absent(metric: str) -> list[str]:
    """The names of the weights that this metric needs and that are not on this machine."""
    return [name for name in METRICS[metric].weights if not weight_store.get(name).path.is_file()]


def at_hand() -> list[str]:
    """The metrics whose weights are on this machine."""
    return [metric for metric in METRICS if not absent(metric)]


def distance(metric: str, device: str = "cpu") -> Distance | None:
    """The distance of that name; None without its weights. Raises WeightsError where they are there and damaged."""
    return None if absent(metric) else METRICS[metric].build(device)
