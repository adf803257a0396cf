"""What a model loses in bfloat16, as it was measured: here on the user's images, or before it was bundled."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from medsr.core.resources import resource_dir
from medsr.engines import openvino_engine
from medsr.engines.base import loses_next_to_nothing
from medsr.engines.model_cache import cache_path
from medsr.io.files import read_text, write_text
from medsr.networks import weight_store


def good_unasked(path: Path, digest: str) -> bool:
    """Whether a weight file was measured to lose so little in bfloat16 that nobody need ask for it.

    What was measured here comes first: those images are the user's.
    """
    measured = _recorded(digest) or _bundled(path, digest)
    return measured is not None and loses_next_to_nothing(measured)


def record(digest: str, loss_db: float, largest_difference: float) -> None:
    """Keep what the weights of that SHA-256 lose (`base.loses_next_to_nothing`). Raises OSError."""
    file = _file(digest)
    file.parent.mkdir(parents=True, exist_ok=True)
    measured = {"loss_db": loss_db, "largest_difference": largest_difference}
    write_text(file, json.dumps({"openvino": _version(), "measured": measured}) + "\n")


def _recorded(digest: str) -> dict[str, float] | None:
    """None where nothing was measured, with another OpenVINO, or the file is damaged."""
    try:
        content = json.loads(read_text(_file(digest)))
        measured = {name: float(content["measured"][name]) for name in ("loss_db", "largest_difference")}
        return measured if content["openvino"] == _version() else None
    except (OSError, ValueError, KeyError, TypeError, RecursionError, OverflowError):
        return None


def _bundled(path: Path, digest: str) -> Mapping[str, Any] | None:
    """The manifest's figures, of a bundled weight file that is unchanged."""
    entry = weight_store.entries().get(path.stem)
    if entry is None or entry.sha256 != digest or path.parent != resource_dir("pretrained"):
        return None
    return entry.bf16


def _file(digest: str) -> Path:
    return cache_path(digest, "auto").with_name("bf16.json")


def _version() -> str:
    return str(openvino_engine.package().get_version())
