"""What an evaluation says of its models, and of the programs that measured."""

from __future__ import annotations

import platform
from importlib.metadata import version
from typing import Any

from medsr.commands.evaluate.case import Runner
from medsr.core.version import __version__

MEASURED_WITH = ("torch", "numpy", "scipy", "scikit-image")


def about_model(runner: Runner) -> dict[str, Any]:
    """What is known of a model."""
    about: dict[str, Any] = {"sha256": runner.sha256}
    return about | ({"note": runner.note} if runner.note else {})


def versions(device: str) -> dict[str, str]:
    """Of what measured, and on which device."""
    versions = {"medsr": __version__, "python": platform.python_version()}
    versions |= {name: version(name) for name in MEASURED_WITH}
    if device.startswith("cuda"):
        import torch

        return versions | {"device": torch.cuda.get_device_name(device)}
    return versions | {"device": f"{device} ({platform.processor() or platform.machine()})"}
