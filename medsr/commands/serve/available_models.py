"""Which models a server offers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from medsr.commands.serve.responses import ModelAnswer
from medsr.core.errors import UsageError
from medsr.core.text import shown
from medsr.networks import checkpoint, weight_store
from medsr.networks.architectures import kind_of

OWN = "this server's own"


@dataclass(frozen=True)
class Offer:
    """A model by the name users see, and what opens it: a known name or a weight file."""

    answer: ModelAnswer
    model: str


def offers(models: tuple[str, ...]) -> dict[str, Offer]:
    """By name: those asked for, or all that are installed; and the baselines to compare with.

    Raises UsageError or WeightsError for one that is not there.
    """
    found = [_offer(model) for model in models] if models else _installed()
    found += [
        _baseline("bicubic", "image", "bicubic interpolation: no network, nothing invented"),
        _baseline("lanczos", "image", "Lanczos interpolation: no network, nothing invented"),
        _baseline("cubic", "volume", "cubic B-spline interpolation: no network, nothing invented"),
    ]
    named = {(offer.answer.kind, offer.answer.name): offer for offer in found}
    if len(named) < len({(offer.answer.kind, offer.model) for offer in found}):
        raise UsageError("--model: two files of one name; rename one")
    return {name: offer for (_, name), offer in named.items()}


def _baseline(name: str, kind: Literal["image", "volume"], about: str) -> Offer:
    return Offer(ModelAnswer(name=name, kind=kind, scale=None, about=about), name)


def _installed() -> list[Offer]:
    known = weight_store.entries().values()
    return [
        _answer(one.name, one.name, one.architecture, one.scale, f"{one.source}; {one.licence}")
        for one in known
        if one.role == "generator" and one.path.is_file()
    ]


def _offer(model: str) -> Offer:
    known = weight_store.entries().get(model)
    if known is not None:
        weight_store.verify(known)
        return _answer(model, model, known.architecture, known.scale, f"{known.source}; {known.licence}")
    if model in weight_store.BASELINES:
        return _baseline(model, "volume" if model in weight_store.VOLUME_BASELINES else "image", "interpolation")
    path = weight_store.locate(model)
    described = checkpoint.describe(path)
    if kind := described.get("discriminator"):
        raise UsageError(f"--model {model}: holds a {kind} discriminator, not a generator")
    if described.get("format") != checkpoint.FORMAT:
        return _answer(path.stem, str(path.resolve()), "", None, OWN)
    spec = checkpoint.spec_of(described.get("spec"), path)
    return _answer(path.stem, str(path.resolve()), spec.architecture, spec.scale, OWN)


def _answer(name: str, model: str, architecture: str, scale: int | None, about: str) -> Offer:
    if kind_of(architecture) == "slice" or scale == 1:
        return Offer(ModelAnswer(name=shown(name), kind="volume", scale=None, about=shown(about)), model)
    return Offer(ModelAnswer(name=shown(name), kind="image", scale=scale, about=shown(about)), model)
