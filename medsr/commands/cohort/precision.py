"""The precision of a cohort, decided once: its results must not be computed in different ones."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from medsr.commands.cohort.plan import Command
from medsr.core.devices import choose
from medsr.engines.base import Compute
from medsr.networks import weight_store
from medsr.networks.bundled import AUTO, CHEST, FUNDUS
from medsr.volumes.models import computed, open_model

COMPUTE = tuple(field.name for field in fields(Compute))
"""The options that are a `Compute`, in its order."""


def settle(command: Command, options: dict[str, Any]) -> dict[str, Any]:
    """`precision`, as `auto` chooses on this machine; of images for which `auto` chooses a model, too, `precisions`.

    Raises UsageError or WeightsError where a model cannot be opened.
    """
    device = str(options["device"])
    if device.startswith("gpu") or choose(device) != "cpu":
        return {"precision": "fp32"}
    compute = Compute(device, options["engine"], "auto", options["max_gpu_memory"], options["compiled"])
    if command == "volume":
        return {"precision": _of_scans(options, compute)}
    if options["model"] != AUTO:
        return {"precision": _of_images(options["model"], compute)}
    names = [name for name, entry in weight_store.entries().items() if entry.suits in (FUNDUS, CHEST)]
    return {"precision": "fp32", "precisions": {name: _of_images(name, compute) for name in names}}


def _of_scans(options: dict[str, Any], compute: Compute) -> str:
    from medsr.commands.volume.arguments import build_request, open_for

    arguments = {name: value for name, value in options.items() if name not in COMPUTE}
    request, _ = build_request(**arguments, compute=compute)
    return str(open_for(request).computed().get("precision", "fp32"))


def _of_images(name: str, compute: Compute) -> str:
    return str(computed(open_model(name, compute)).get("precision", "fp32"))
