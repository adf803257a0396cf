"""OpenVINO beside torch on the same noise: how far apart, and how fast."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import numpy as np

from medsr.core.types import Array
from medsr.engines.base import Engine
from medsr.engines.openvino_engine import OpenvinoEngine
from medsr.networks.architectures import condition_maps

if TYPE_CHECKING:
    from torch import nn

PROBE = 64
"""Side of the noise that engines are compared and timed on."""
QUICK = 0.1
"""Seconds: a probe that takes less is made larger."""
ROUNDS = 4


def benchmark_engines(net: nn.Module, model: Any, card: dict[str, Any]) -> dict[str, Any]:
    """For the card of `net`'s OpenVINO `model`: `difference` (the largest, of full range) and `seconds` of both."""
    from medsr.engines.torch_engine import TorchEngine

    openvino_engine, torch_engine = OpenvinoEngine(model, card), TorchEngine(net)
    spec = card["spec"]
    channels = spec["channels"] + condition_maps(spec["architecture"])
    probe = np.random.default_rng(0).random((1, channels, PROBE, PROBE), dtype=np.float32)
    difference = float(np.abs(openvino_engine(probe).astype(np.float64) - torch_engine(probe)).max())
    if _time(torch_engine, probe) < QUICK:  # too short to compare: four times as much
        probe = np.tile(probe, (1, 1, 2, 2))
        for engine in (torch_engine, openvino_engine):
            engine(probe)  # what a new shape costs once
    rounds = [(_time(torch_engine, probe), _time(openvino_engine, probe)) for _ in range(ROUNDS)]
    # The fastest of the rounds: what disturbs makes slower, never faster.
    fastest = {"torch": min(seconds[0] for seconds in rounds), "openvino": min(seconds[1] for seconds in rounds)}
    return {"difference": difference, "seconds": fastest}


def seconds_beside(engine: Engine, other: Engine, spec: dict[str, Any]) -> tuple[float, float]:
    """How long two engines of the same network take for the same noise, in turn, at their fastest."""
    channels = spec["channels"] + condition_maps(spec["architecture"])
    probe = np.random.default_rng(0).random((1, channels, 2 * PROBE, 2 * PROBE), dtype=np.float32)
    for warmed in (engine, other):
        warmed(probe)  # what a new shape costs once
    rounds = [(_time(engine, probe), _time(other, probe)) for _ in range(ROUNDS)]
    return min(seconds[0] for seconds in rounds), min(seconds[1] for seconds in rounds)


def _time(engine: Engine, probe: Array) -> float:
    began = time.perf_counter()
    engine(probe)
    return time.perf_counter() - began
