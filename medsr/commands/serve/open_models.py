"""The models that the computing child keeps open. Nothing of a model's card is told to those who use it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

from medsr.core.errors import MedsrError, WeightsError
from medsr.core.text import shown
from medsr.engines.base import Compute
from medsr.images.network import Model
from medsr.networks import weight_store
from medsr.volumes.models import LoadedSliceModel, open_model, open_slice_model

MAX_OPEN_MODELS = 4


@lru_cache(MAX_OPEN_MODELS)
def image_model(name: str, compute: Compute, tile: int | None, consistency: bool) -> Model:
    """As `open_model`. Raises WeightsError that says nothing of the file but its name."""
    with _without_reasons(name):
        return open_model(name, compute, tile, consistency)


@lru_cache(MAX_OPEN_MODELS)
def slice_model(name: str, compute: Compute) -> LoadedSliceModel:
    """As `open_slice_model`. Raises WeightsError that says nothing of the file but its name."""
    with _without_reasons(name):
        engine = open_slice_model(name, compute)
    entry = weight_store.entries().get(name)
    if entry is not None and entry.suits:
        return engine
    # Warnings quote what a model was trained on, and in a file of the server's any text may stand there.
    modality = "MRI" if "MRI" in str(engine.domain.get("modality", "")) else ""
    return replace(engine, domain={**engine.domain, "modality": modality}) if engine.domain else engine


@contextmanager
def _without_reasons(name: str) -> Iterator[None]:
    """Reasons name a model's folder and quote its card; whoever runs the server gets them from the command line."""
    try:
        yield
    except MedsrError as error:
        raise WeightsError(
            f"{shown(Path(name).stem)}: this server cannot open it; choose another model, and tell whoever runs it"
        ) from error
