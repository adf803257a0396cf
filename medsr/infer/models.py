"""Models by name or file, ready to super-resolve."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args

from medsr.devices import choose
from medsr.errors import UsageError
from medsr.infer.image import Interpolation, Model, Network
from medsr.infer.slices import Enlarger, Refiner, SliceModel
from medsr.io.files import sha256
from medsr.nets import checkpoint, weights
from medsr.resample import Kernel

DEFAULT = "medsr-retina-x2"


def open_model(model: str | Path, device: str = "auto", tile: int | None = None, half: bool = False) -> Model:
    """`bicubic`, `lanczos`, a name from `medsr weights list`, or a weight file (.safetensors, .pth).

    `tile`: side in low-resolution pixels, 0 for one piece, None to fit the memory. Raises UsageError or WeightsError.
    """
    for kernel in get_args(Kernel):
        if str(model) == kernel:
            return Interpolation(kernel)
    if str(model) in weights.RESERVED:
        raise UsageError(f"--model {model}: is for volumes; for images: {', '.join(get_args(Kernel))}")
    path = weights.locate(model)
    known = weights.entries().get(str(model))
    if known is not None and known.role != "generator":
        raise UsageError(f"{model}: holds a {known.role}, not a generator")
    net, spec = checkpoint.load(path)
    if spec.architecture == "refiner":
        raise UsageError(f"{model}: refines slices of volumes; use medsr volume, or another model")
    chosen = choose(device)
    if half and not chosen.startswith("cuda"):
        raise UsageError("--half needs a CUDA device")
    return Network(str(model), net, spec.scale, spec.channels, chosen, tile, half)


@dataclass(frozen=True)
class SliceEngine:
    """What refines a scan's slices, and what is known of it. `model` None: plain cubic B-spline.

    `domain`: what the weights were trained for (modality, spacing in mm, factors); empty where the file does not say.
    """

    name: str
    model: SliceModel | None
    sha256: str | None = None
    domain: Mapping[str, Any] = field(default_factory=dict)


def open_slice_model(model: str | Path, device: str = "auto") -> SliceEngine:
    """`cubic`, `scratch` (an untrained refiner), a name from `medsr weights list`, or a weight file.

    Raises UsageError or WeightsError.
    """
    name = str(model)
    if name == "cubic":
        return SliceEngine(name, None)
    if name in get_args(Kernel):
        raise UsageError(f"--model {name}: is for images; for volumes: cubic")
    chosen = choose(device)
    if name == "scratch":
        return SliceEngine(name, Refiner(name, checkpoint.Spec("refiner", 1, 1).build(), chosen))
    path = weights.locate(model)
    known = weights.entries().get(name)
    if known is not None and known.role != "generator":
        raise UsageError(f"{model}: holds a {known.role}, not a generator")
    net, spec = checkpoint.load(path)
    training = checkpoint.describe(path).get("training", {})
    domain = training.get("domain", {}) if isinstance(training, Mapping) else {}
    name = path.name if name not in weights.entries() else name
    if spec.architecture == "refiner":
        return SliceEngine(name, Refiner(name, net, chosen), sha256(path), domain)
    return SliceEngine(name, Enlarger(Network(name, net, spec.scale, spec.channels, chosen)), sha256(path), domain)


def weights_hash(model: str | Path) -> str | None:
    """SHA-256 of a model's weight file; None for one without (a baseline)."""
    if str(model) in weights.RESERVED:
        return None
    return sha256(weights.locate(model))
