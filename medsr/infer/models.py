"""Models by name or file, ready to super-resolve."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

from medsr.devices import choose
from medsr.errors import UsageError
from medsr.infer.image import Interpolation, Model, Network
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
    path = weights.locate(model)
    known = weights.entries().get(str(model))
    if known is not None and known.role != "generator":
        raise UsageError(f"{model}: holds a {known.role}, not a generator")
    net, spec = checkpoint.load(path)
    chosen = choose(device)
    if half and not chosen.startswith("cuda"):
        raise UsageError("--half needs a CUDA device")
    return Network(str(model), net, spec.scale, spec.channels, chosen, tile, half)
