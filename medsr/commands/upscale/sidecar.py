"""`upscale.json`, in the folder of results: what each was made of, by what and how; enough for `medsr reproduce`."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from medsr.batch.outcome import Outcome
from medsr.batch.status import PICTURES as NAME
from medsr.batch.status import pictures_in
from medsr.commands.upscale.models import OpenedModel
from medsr.core import platform
from medsr.core.version import __version__
from medsr.io.dicomweb.origins import origin_of
from medsr.io.files import sha256, write_text
from medsr.io.local_record import named_from
from medsr.io.lock import held
from medsr.volumes.models import weights_form

COMPUTED = (
    "engine",
    "precision",
    "int8_sha256",
    "fp32_share",
    "tile",
    "strength",
    "compiled",
    "consistency",
    "assumed_bits",
    "frames",
    "keep_metadata",
)
"""What else decided a result."""


def entry(folder: Path, outcome: Outcome, opened: OpenedModel) -> dict[str, Any]:
    """How a result was made, by its name in the folder."""
    settings = opened.settings
    parameters = {"outscale": settings["scale"], "bits": settings["bits"]}
    parameters |= {name: settings[name] for name in COMPUTED if name in settings}
    digest, weights = outcome.input_sha256 or sha256(outcome.input), settings["weights"]
    name = relative(settings["model"], folder, weights)
    result = {
        "input": named_from(folder, outcome.input, digest),
        "input_sha256": digest,
        "output_sha256": outcome.output_sha256 or sha256(outcome.output),
        "model": {"name": name, "sha256": weights} | weights_form(settings["model"]),
        "parameters": parameters,
        "notes": list(outcome.notes),
    }
    if origin := origin_of(outcome.input):
        result["archive"] = origin.as_dict()
    return {platform.way_from(folder, outcome.output) or outcome.output.name: result}


def relative(model: str, folder: Path, digest: str | None) -> str:
    """A weight file as a sidecar in `folder` names it; a known name as it is."""
    return named_from(folder, model, digest) if Path(model).is_absolute() else model


def write(folder: Path, results: Mapping[str, Any]) -> None:
    """Results of other batches stay in it, as long as they are there. Nothing where nothing was made."""
    if not results:
        return
    folder.mkdir(parents=True, exist_ok=True)
    with held(folder):
        kept = {name: result for name, result in pictures_in(folder).items() if os.path.isfile(folder / name)}
        summary = {"tool": "medsr", "command": "upscale", "version": __version__, "results": kept | dict(results)}
        write_text(folder / NAME, json.dumps(summary, indent=1) + "\n")
