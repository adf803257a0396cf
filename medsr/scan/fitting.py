"""What refines a certain scan where the choice was left to medsr."""

from __future__ import annotations

from dataclasses import replace

from medsr.infer.choice import AUTO, for_volume
from medsr.infer.models import SliceEngine
from medsr.io.volume_base import Volume
from medsr.scan.labels import is_label_map
from medsr.scan.request import Request


def fitting(request: Request, engine: SliceEngine, volume: Volume) -> tuple[Request, SliceEngine, str]:
    """The request and the engine for this scan, and what to say about the choice; "" where nothing was to be chosen.

    `engine`: the bundled one, where the request says `auto`. What is to learn from the scan (`adapt`) begins from that,
    whatever the scan shows. Raises UsageError where the request does not go with plain interpolation.
    """
    labels = request.kind == "labels" or (request.kind == "auto" and is_label_map(volume.stored))
    if request.model != AUTO or labels:
        return request, engine, ""
    chosen = for_volume(volume)
    if not chosen.fits and request.adapt is None:
        return replace(request, model=chosen.model), SliceEngine(chosen.model, None), f"warning: {chosen}"
    why = chosen.why if chosen.fits else "to begin with; it learns from the scan"
    return replace(request, model=engine.name), engine, f"model {engine.name}: {why}"
