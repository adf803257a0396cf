"""What refines a certain scan where the choice was left to medsr."""

from __future__ import annotations

from dataclasses import dataclass, replace

from medsr.io.volumes.base import Volume
from medsr.io.volumes.periodic import is_phase
from medsr.networks.bundled import AUTO, Choice, for_volume
from medsr.volumes.labels import is_labels
from medsr.volumes.models import LoadedSliceModel
from medsr.volumes.request import Kind, Request

NEAREST = "nearest"
"""What a choice calls nearest neighbour, which is for label maps and phases."""
PHASE = (
    "a phase image, by its header, name or values: they jump where the phase wraps, so it was enlarged by "
    "nearest neighbour"
)
LABELS = "a label map: resampled by nearest neighbour, not super-resolved"


@dataclass(frozen=True)
class ResolvedRequest:
    """The request and the engine for one scan. `why`: of the choice, "" where there was none. `fits`: False where no
    model was made for such a scan."""

    request: Request
    engine: LoadedSliceModel
    why: str = ""
    fits: bool = True


def suggest(volume: Volume, kind: Kind = "auto") -> Choice:
    """What a scan is refined with where nobody chose: by command line, Python, page and cohort alike."""
    if kind == "labels" or (kind == "auto" and is_labels(volume)):
        return Choice(NEAREST, LABELS)
    if is_phase(volume):
        return Choice(NEAREST, PHASE, fits=False, hint="; `model` chooses one")
    return for_volume(volume)


def choose_model(request: Request, engine: LoadedSliceModel, volume: Volume) -> ResolvedRequest:
    """What to refine a scan with. `engine`: the bundled one, where the request says `auto`.

    What is to learn from the scan (`adapt`) begins from that, whatever the scan shows. Interpolation has no
    uncertainty: none is written then.
    """
    if request.model != AUTO:
        return ResolvedRequest(request, engine)
    choice = suggest(volume, request.kind)
    if choice.why == LABELS:
        return ResolvedRequest(request, engine)
    if choice.model == NEAREST and request.adapt is None:
        plain = replace(request, kind="labels", method=replace(request.method, uncertainty=False))
        return ResolvedRequest(plain, engine, choice.why + choice.hint, fits=False)
    if choice.fits or request.adapt is not None:
        why = choice.why if choice.fits else "to begin with; it learns from the scan"
        return ResolvedRequest(replace(request, model=engine.name), engine, f"model {engine.name}: {why}")
    why = choice.why + choice.hint + ("; it has no `uncertainty`" if request.method.uncertainty else "")
    plain = replace(request, model=choice.model, method=replace(request.method, uncertainty=False))
    return ResolvedRequest(plain, LoadedSliceModel(choice.model, None), why, fits=False)
