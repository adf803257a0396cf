"""OpenVINO beside torch on the same noise: how far apart, and how fast."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
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
    probe = _probe(card["spec"])
    difference = float(np.abs(openvino_engine(probe).astype(np.float64) - torch_engine(probe)).max())
    torch_seconds, openvino_seconds = seconds_of([torch_engine, openvino_engine], card["spec"])
    return {"difference": difference, "seconds": {"torch": torch_seconds, "openvino": openvino_seconds}}


def _probe(spec: Mapping[str, Any]) -> Array:
    channels = spec["channels"] + condition_maps(spec["architecture"])
    return np.random.default_rng(0).random((1, channels, PROBE, PROBE), dtype=np.float32)


def seconds_of(engines: Sequence[Engine], spec: Mapping[str, Any]) -> list[float]:
    """How long each of a network's engines takes for the same noise, in turn."""
    probe = _probe(spec)
    engines[0](probe)  # what a new shape costs once
    if _time(engines[0], probe) < QUICK:  # too short to compare: four times as much
        probe = np.tile(probe, (1, 1, 2, 2))
    for engine in engines:
        engine(probe)
    rounds = [[_time(engine, probe) for engine in engines] for _ in range(ROUNDS)]
    # The fastest of the rounds: what disturbs makes slower, never faster.
    return [min(seconds) for seconds in zip(*rounds, strict=True)]


def _time(engine: Engine, probe: Array) -> float:
    began = time.perf_counter()
    engine(probe)
    return time.perf_counter() - began
