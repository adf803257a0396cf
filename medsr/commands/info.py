"""What is installed and at hand, without importing any of it."""

from __future__ import annotations

import platform
from importlib import metadata
from typing import Any

from medsr.core.resources import home, resource_dir
from medsr.core.version import __version__
from medsr.networks import weight_store

PACKAGES = (
    "torch",
    "torchvision",
    "basicsr",
    "realesrgan",
    "lightning-fabric",
    "monai",
    "nibabel",
    "SimpleITK",
    "scikit-image",
    "numpy",
    "pydicom",
    "openvino",
    "nncf",
)


def collect(devices: bool = False) -> dict[str, Any]:
    """Versions, models on this machine, folders; with `devices` also the GPUs torch sees."""
    entries = weight_store.entries().values()
    facts: dict[str, Any] = {
        "medsr": __version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "packages": {name: _version(name) for name in PACKAGES},
        "models": [*weight_store.BASELINES, *(e.name for e in entries if e.role == "generator" and e.path.is_file())],
        "weights": str(home() / "weights"),
        "recipes": str(resource_dir("recipes")),
    }
    if devices:
        import torch

        cuda = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
        facts["devices"] = ["cpu", *cuda, *(["mps"] if torch.backends.mps.is_available() else [])]
        facts["threads"] = torch.get_num_threads()
    return facts


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "absent"
