"""int8: where a model is in it, and what it costs, as measured when it was calibrated."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np

from medsr.core.errors import UsageError
from medsr.core.text import shown
from medsr.engines.base import LARGEST_LOSS, loses_next_to_nothing
from medsr.engines.guarded import limits_of
from medsr.engines.model_cache import cache_path, kept_engine, shipped_engine
from medsr.engines.openvino_engine import OpenvinoEngine

WORTH_A_WARNING = 0.02
"""Of full range: where int8 differs by more on a pixel, whoever uses it is told."""


def find_int8(path: Path, digest: str) -> OpenvinoEngine | None:
    """A weight file in int8: as it was calibrated on this machine, if by this medsr, else as it comes with medsr."""
    kept = kept_engine(cache_path(digest, "int8"), digest)
    return kept if kept and limits_of(kept.card) is not None else shipped_engine(path, digest, "int8") or kept


def good_unasked(card: dict[str, Any]) -> bool:
    """Whether int8 was measured to lose so little that nobody need ask for it, and its limits are known."""
    return limits_of(card) is not None and loses_next_to_nothing(card.get("measured", {}))


def check_int8(card: dict[str, Any], name: str) -> None:
    """Raise UsageError where int8 must not be used at all; warn where single pixels differ much."""
    if limits_of(card) is None:
        raise UsageError(
            f"`precision=int8`: {name} was calibrated by an earlier medsr, and may be far wrong on sharper images; "
            "calibrate it again (medsr export), or use fp32"
        )
    loss = float(card.get("measured", {}).get("loss_db", np.inf))
    if not loss <= LARGEST_LOSS:
        raise UsageError(f"`precision=int8`: {name} loses {loss:.2f} dB that way, more than {LARGEST_LOSS}; use fp32")
    if (largest := float(card["measured"].get("largest_difference", 0))) > WORTH_A_WARNING:
        logging.getLogger(__name__).warning(
            f"`precision=int8`: where {shown(name)} was measured, a single pixel differed from fp32 by up to "
            f"{largest:.0%} of full range; very bright spots differ most"
        )
