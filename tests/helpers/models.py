"""Small networks and their files."""

from __future__ import annotations

from pathlib import Path

from medsr.networks.architectures import ARCHITECTURES
from medsr.networks.checkpoint import Spec

TINY = Spec("rrdb", 2, 3, {"features": 12, "blocks": 1, "growth": 4})
SMALL: dict[str, dict[str, int]] = {
    "rrdb": {"features": 8, "blocks": 1, "growth": 4},
    "rrdb-aggregated": {"features": 8, "blocks": 2, "growth": 4},
    "srresnet": {"features": 8, "blocks": 2},
    "residual-in-residual": {"features": 8, "blocks": 2, "units": 2},
    "rdn": {"features": 8, "growth": 4, "convs": 2, "blocks": 2},
    "rrdn": {"features": 8, "growth": 4, "convs": 2, "dense": 2, "blocks": 2},
}
"""Sizes of each architecture."""
EVERY = [(name, scale) for name in SMALL for scale in ARCHITECTURES[name].scales]
"""Of each architecture, at each of its scales."""


def convert(path: Path) -> Path:
    """Convert a model for OpenVINO here, not in a process of its own that first loads torch."""
    from medsr.commands.export.run import export
    from medsr.engines import openvino_engine

    if openvino_engine.available():
        export(path, "openvino")
    return path
