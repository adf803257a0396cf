"""A model's card in the form of OpenModelDB, where people look for super-resolution models."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from medsr.io.files import sha256
from medsr.networks import checkpoint, weight_store
from medsr.networks.architectures import ARCHITECTURES

SIZES = {"features": "nf", "blocks": "nb", "growth": "gc", "convs": "nc", "units": "nu", "dense": "nd"}


def card(model: str) -> dict[str, Any]:
    """The card (OpenModelDB's `Model`) of a known name or a weight file.

    What only its author knows is empty for weights that did not come with medsr (author, licence, day of publication,
    description), and so are the addresses of the files for all. Raises UsageError or WeightsError.
    """
    path = weight_store.locate(model)
    entry = weight_store.entries().get(model)
    _, spec = checkpoint.load(path)
    training = checkpoint.describe(path).get("training", {})
    files = [_resource(path, "pytorch")]
    if entry and entry.onnx_sha256 and (beside := path.with_suffix(".onnx")).is_file():
        files.append(_resource(beside, "onnx"))
    fields: dict[str, Any] = {
        "name": model if entry else path.stem,
        "author": "medsr" if entry and entry.suits else "",
        "license": entry.licence if entry and entry.suits else None,
        "tags": ["restoration"],
        "description": _description(path),
        "date": entry.released if entry else "",
        "architecture": _architecture(spec.architecture),
        "size": [f"{value}{SIZES[key]}" for key, value in spec.hyperparameters.items() if key in SIZES],
        "scale": spec.scale,
        "inputChannels": spec.channels,
        "outputChannels": spec.channels,
        "resources": files,
        "images": [],
    }
    if isinstance(training, dict) and (iterations := training.get("iterations")):
        fields["trainingIterations"] = iterations
    return fields


def _architecture(name: str) -> str:
    """What OpenModelDB calls it; what it does not know yet, it must be told of."""
    entry = ARCHITECTURES.get(name)
    return entry.openmodeldb if entry and entry.openmodeldb else f"medsr-{name}"


def _resource(path: Path, platform: str) -> dict[str, Any]:
    kind = path.suffix.lstrip(".")
    return {"platform": platform, "type": kind, "size": path.stat().st_size, "sha256": sha256(path), "urls": []}


def _description(path: Path) -> str:
    """What the model card beside the weights begins with."""
    beside = path.with_suffix(".md")
    if not beside.is_file():
        return ""
    paragraphs = re.split(r"\n\s*\n", beside.read_text(encoding="utf-8", errors="replace"))
    return " ".join(next((text for text in paragraphs if not text.startswith("#")), "").split())
