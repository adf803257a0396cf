"""Which models a server offers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from medsr.commands.serve.responses import ModelResponse
from medsr.core.errors import UsageError
from medsr.core.text import shown
from medsr.networks import cards, checkpoint, weight_store
from medsr.networks.architectures import kind_of
from medsr.volumes.choose_model import NEAREST

OWN = "this server's own"


@dataclass(frozen=True)
class AvailableModel:
    """A model by the name users see, and what opens it: a known name or a weight file."""

    response: ModelResponse
    source: str


def available_models(models: tuple[str, ...]) -> dict[str, AvailableModel]:
    """By name: those asked for, or all that are installed; and the baselines to compare with.

    Raises UsageError or WeightsError for one that is not there.
    """
    available = [_resolve(model) for model in models] if models else _installed()
    available += [
        _baseline("bicubic", "image", "bicubic interpolation: no network, nothing invented"),
        _baseline("lanczos", "image", "Lanczos interpolation: no network, nothing invented"),
        _baseline("cubic", "volume", "cubic B-spline interpolation: no network, nothing invented"),
        _baseline(
            NEAREST, "volume", "nearest neighbour: for label maps and phases, every value stays one of the scan's"
        ),
    ]
    by_key = {(model.response.kind, model.response.name): model for model in available}
    if len(by_key) < len({(model.response.kind, model.source) for model in available}):
        raise UsageError("`models`: two files of one name; rename one")
    return {name: model for (_, name), model in by_key.items()}


def _baseline(name: str, kind: Literal["image", "volume"], about: str) -> AvailableModel:
    return AvailableModel(ModelResponse(name=name, kind=kind, scale=None, about=about), name)


def _installed() -> list[AvailableModel]:
    entries = weight_store.entries().values()
    return [
        _available(entry.name, entry.name, entry.architecture, entry.scale, f"{entry.source}; {entry.licence}")
        for entry in entries
        if entry.role == "generator" and entry.path.is_file()
    ]


def _resolve(model: str) -> AvailableModel:
    entry = weight_store.entries().get(model)
    if entry is not None:
        weight_store.verify(entry)
        return _available(model, model, entry.architecture, entry.scale, f"{entry.source}; {entry.licence}")
    if model in weight_store.BASELINES:
        return _baseline(model, "volume" if model in weight_store.VOLUME_BASELINES else "image", "interpolation")
    path = weight_store.locate(model)
    metadata = checkpoint.describe(path)
    if kind := metadata.get("discriminator"):
        raise UsageError(f"`models={model}`: holds a {kind} discriminator, not a generator")
    if metadata.get("format") != checkpoint.FORMAT:
        return _available(path.stem, str(path.resolve()), "", None, OWN)
    spec = checkpoint.spec_of(metadata.get("spec"), path)
    return _available(path.stem, str(path.resolve()), spec.architecture, spec.scale, OWN)


def _available(name: str, model: str, architecture: str, scale: int | None, about: str) -> AvailableModel:
    kind: Literal["image", "volume"] = "volume" if kind_of(architecture) == "slice" or scale == 1 else "image"
    factor = scale if kind == "image" else None
    response = ModelResponse(
        name=shown(name),
        kind=kind,
        scale=factor,
        about=shown(about),
        own=about == OWN,
        measured=list(cards.measured(model)),
        card=f"/api/models/{name}/card" if cards.card_path(model) else None,
    )
    return AvailableModel(response, model)
