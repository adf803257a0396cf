"""Which of the measured images a model was trained on: its figures there are too good."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from medsr.commands.evaluate.case import Item
from medsr.engines import openvino_engine
from medsr.engines.selection import EXPORTED
from medsr.io.volumes.volume_files import digest
from medsr.networks import weight_store
from medsr.networks.learned_from import learned_from, of_bundled
from medsr.networks.seen_images import SeenImages, short_hash


def seen_before(models: Sequence[str], items: Sequence[Item]) -> list[str]:
    """A line for each model that was trained on some of the images, or whose weights some of them chose.

    Known by the hashes of files that `medsr finetune` keeps with weights, and that came with the bundled ones. Weights
    of others have none.
    Raises UsageError or WeightsError for a model that is not there.
    """
    by_model = {model: _seen_by(model) for model in models if model not in weight_store.RESERVED}
    if not any(by_model.values()):
        return []
    hashes = [_hash(item) for item in items]
    lines = []
    for model, seen in by_model.items():
        name = Path(model).name if Path(model).is_file() else model
        trained, chosen = (sum(digest in known for digest in hashes) for known in (seen.trained, seen.chosen))
        if trained:
            lines.append(f"{name} was trained on {_share(trained, items)}: its figures are too good, measure others")
        if chosen:
            lines.append(f"{_share(chosen, items)} chose the weights of {name}: its figures are a little too good")
    return lines


def _seen_by(model: str) -> SeenImages:
    path = weight_store.locate(model)
    if path.suffix not in EXPORTED:
        return learned_from(path)
    card: dict[str, Any] = openvino_engine.read(path)[1]
    return SeenImages.of_training(card.get("training")) | of_bundled(card.get("sha256"))


def _share(count: int, items: Sequence[Item]) -> str:
    return f"{count} of these {len(items)} images" if len(items) > 1 else "this image"


def _hash(item: Item) -> str:
    try:
        return short_hash(digest(item.image))
    except OSError:  # measuring it will tell why
        return ""
