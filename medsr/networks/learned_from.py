"""Which images a weight file learned from: by its own metadata, and for bundled weights by what came with medsr."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

import yaml

from medsr.core.resources import resource_dir
from medsr.io.files import sha256
from medsr.networks import checkpoint
from medsr.networks.seen_images import SeenImages


def learned_from(path: Path) -> SeenImages:
    """The images of a weight file, wherever it lies; none of files that say nothing and did not come with medsr."""
    return SeenImages.of_training(checkpoint.describe(path).get("training")) | of_bundled(sha256(path))


def of_bundled(weights: str | None) -> SeenImages:
    """The images of the bundled weights with that SHA-256; none of all other weights."""
    return _by_weights(resource_dir("pretrained") / "seen_images.yml").get(weights or "", SeenImages())


@lru_cache(1)
def _by_weights(path: Path) -> Mapping[str, SeenImages]:
    record = yaml.safe_load(path.read_text(encoding="utf-8"))
    sets = {name: frozenset(files.values()) for name, files in record["sets"].items()}

    def hashes(names: list[str]) -> frozenset[str]:
        return frozenset().union(*(sets[name] for name in names))

    models = record["models"].values()
    return {model["weights"]: SeenImages(hashes(model["trained_on"]), hashes(model["chosen_by"])) for model in models}
