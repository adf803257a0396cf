"""Recipes of short trainings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

RECIPE: dict[str, Any] = {
    "name": "test",
    "scale": 2,
    "generator": {"name": "rrdb", "features": 12, "blocks": 1, "growth": 4},
    "data": {"validation": "eye_[5].png", "crop": 32, "degrade_crop": 48, "workers": 0},
    "degradation": {"name": "high-order", "pool": 8, "first": {"resize_range": [0.25, 1.5]}},
    "losses": {"l1": {"weight": 1.0}},
    "optimizer": {"learning_rate": 1e-3},
    "iterations": 6,
    "batch": 2,
    "validate_every": 3,
    "save_every": 3,
}
GAN: dict[str, Any] = {
    "losses": {"l1": {"weight": 1.0}, "gan": {"weight": 0.1}},
    "discriminator": {"name": "unet-sn", "features": 8},
}
LONG = RECIPE | GAN | {"iterations": 12, "save_every": 4, "validate_every": 5}
"""Three states are saved."""
PLAIN: dict[str, Any] = {
    "name": "one",
    "scale": 2,
    "generator": {"name": "rrdn", "features": 8, "growth": 4, "convs": 2, "dense": 1, "blocks": 2},
    "data": {"validation": "eye_[5].png", "crop": 32, "workers": 0},
    "degradation": {"name": "bicubic"},
    "losses": {"l1": {"sharpened": False}},
    "optimizer": {"learning_rate": 1e-3},
    "iterations": 6,
    "batch": 2,
    "validate_every": 3,
    "save_every": 3,
}
"""Without what `RECIPE` draws at random for its degradation."""
STAGES = [
    {"name": "faithful", "iterations": 4},
    {
        "name": "sharp",
        "iterations": 3,
        "losses": {"gan": {"weight": 0.1, "relativistic": True}},
        "discriminator": {"name": "unet-sn", "features": 8},
    },
]


def write_recipe(path: Path, recipe: dict[str, Any] = PLAIN, **changes: Any) -> Path:
    path.write_text(yaml.safe_dump(recipe | changes))
    return path
