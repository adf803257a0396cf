"""OpenVINO beside torch on the same noise: how far apart, and how fast."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import numpy as np

from medsr.core.types import Array
from medsr.engines.base import Engine
from medsr.engines.openvino_engine import OpenvinoEngine
from medsr.engines.torch_engine import TorchEngine
from medsr.networks.architectures import condition_maps

if TYPE_CHECKING:
    from torch import nn

PROBE = 64
"""Side of the noise that engines are compared and timed on."""
QUICK = 0.1
"""Seconds: a probe that takes less is made larger."""
ROUNDS = 4


def beside_torch(net: nn.Module, model: Any, card: dict[str, Any]) -> dict[str, Any]:
    """For the card of `net`'s OpenVINO `model`: `difference` (the largest, of full range) and `seconds` of both."""
    ours, theirs = OpenvinoEngine(model, card), TorchEngine(net)
    spec = card["spec"]
    channels = spec["channels"] + condition_maps(spec["architecture"])
    probe = np.random.default_rng(0).random((1, channels, PROBE, PROBE), dtype=np.float32)
    difference = float(np.abs(ours(probe).astype(np.float64) - theirs(probe)).max())
    if _time(theirs, probe) < QUICK:  # too short to compare: four times as much
        probe = np.tile(probe, (1, 1, 2, 2))
        for engine in (theirs, ours):
            engine(probe)  # what a new shape costs once
    rounds = [(_time(theirs, probe), _time(ours, probe)) for _ in range(ROUNDS)]
    # The fastest of the rounds: what disturbs makes slower, never faster.
    fastest = {"torch": min(one[0] for one in rounds), "openvino": min(one[1] for one in rounds)}
    return {"difference": difference, "seconds": fastest}


def _time(engine: Engine, probe: Array) -> float:
    began = time.perf_counter()
    engine(probe)
    return time.perf_counter() - began
