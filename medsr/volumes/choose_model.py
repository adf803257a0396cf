"""What refines a certain scan where the choice was left to medsr."""

from __future__ import annotations

from dataclasses import dataclass, replace

from medsr.io.volumes.base import Volume
from medsr.io.volumes.periodic import is_phase
from medsr.networks.bundled import AUTO, for_volume
from medsr.volumes.labels import is_labels
from medsr.volumes.models import LoadedSliceModel
from medsr.volumes.request import Request

PHASE = (
    "a phase image, by its header, name or values: they jump where the phase wraps, so it was enlarged by "
    "nearest neighbour; `model` chooses one"
)


@dataclass(frozen=True)
class ResolvedRequest:
    """The request and the engine for one scan. `why`: of the choice, "" where there was none. `fits`: False where no
    model was made for such a scan."""

    request: Request
    engine: LoadedSliceModel
    why: str = ""
    fits: bool = True


def choose_model(request: Request, engine: LoadedSliceModel, volume: Volume) -> ResolvedRequest:
    """What to refine a scan with. `engine`: the bundled one, where the request says `auto`.

    What is to learn from the scan (`adapt`) begins from that, whatever the scan shows. Interpolation has no
    uncertainty: none is written then.
    """
    if request.model != AUTO:
        return ResolvedRequest(request, engine)
    if request.kind == "labels" or (request.kind == "auto" and is_labels(volume)):
        return ResolvedRequest(request, engine)
    if is_phase(volume) and request.adapt is None:
        plain = replace(request, kind="labels", method=replace(request.method, uncertainty=False))
        return ResolvedRequest(plain, engine, PHASE, fits=False)
    choice = for_volume(volume)
    if choice.fits or request.adapt is not None:
        why = choice.why if choice.fits else "to begin with; it learns from the scan"
        return ResolvedRequest(replace(request, model=engine.name), engine, f"model {engine.name}: {why}")
    why = choice.why + choice.hint + ("; it has no `uncertainty`" if request.method.uncertainty else "")
    plain = replace(request, model=choice.model, method=replace(request.method, uncertainty=False))
    return ResolvedRequest(plain, LoadedSliceModel(choice.model, None), why, fits=False)
