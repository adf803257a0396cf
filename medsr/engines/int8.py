"""int8: what it costs, as measured when it was calibrated, and whether this processor gains by it, measured once."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from medsr.core.errors import UsageError
from medsr.core.text import shown
from medsr.engines import openvino_engine
from medsr.engines.base import LARGEST_LOSS, UNASKED_DIFFERENCE, UNASKED_LOSS, Engine
from medsr.engines.benchmark_engines import seconds_beside
from medsr.engines.guarded import limits_of
from medsr.engines.model_cache import cache_path, kept_engine, shipped_engine, writable
from medsr.engines.openvino_engine import OpenvinoEngine
from medsr.io.files import write_text

WORTH_A_WARNING = 0.02
"""Of full range: where int8 differs by more on a pixel, whoever uses it is told."""
FASTER = 0.9
"""Of fp32's time: what int8 may take at most for `auto` to take it."""


def find_int8(path: Path, digest: str) -> OpenvinoEngine | None:
    """A weight file in int8: as it was calibrated on this machine, if by this medsr, else as it comes with medsr."""
    kept = kept_engine(cache_path(digest, "int8"), digest)
    return kept if kept and limits_of(kept.card) is not None else shipped_engine(path, digest, "int8") or kept


def good_unasked(card: dict[str, Any]) -> bool:
    """Whether int8 was measured to lose so little that nobody need ask for it, and its limits are known."""
    return limits_of(card) is not None and loses_next_to_nothing(card.get("measured", {}))


def loses_next_to_nothing(measured: Mapping[str, Any]) -> bool:
    """Whether PSNR and the furthest pixel, as a card says they were measured, are hardly those of fp32."""
    loss, difference = (float(measured.get(key, np.inf)) for key in ("loss_db", "largest_difference"))
    return loss <= UNASKED_LOSS and difference <= UNASKED_DIFFERENCE


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


def recorded_as_faster(digest: str) -> bool | None:
    """Whether int8 was measured to be faster on this processor; None where nobody has measured it yet."""
    try:
        record = json.loads(_record(digest).read_text(encoding="utf-8"))
        if record["on"] != _here():
            return None
        return bool(record["seconds"]["int8"] <= FASTER * record["seconds"]["fp32"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def can_record(digest: str) -> bool:
    """Whether a measurement can be kept. Else it would be made anew in every run, and might come out otherwise."""
    return writable(_record(digest).parent)


def measure_speed(digest: str, quantised: OpenvinoEngine, plain: Engine) -> None:
    """Time int8 beside fp32 and keep the seconds, if the disk has room for them."""
    int8, fp32 = seconds_beside(quantised, plain, quantised.card["spec"])
    with suppress(OSError):
        write_text(_record(digest), json.dumps({"on": _here(), "seconds": {"int8": int8, "fp32": fp32}}) + "\n")


def _record(digest: str) -> Path:
    return cache_path(digest, "int8").parent / "speed.json"


@lru_cache(1)
def _here() -> dict[str, str]:
    name = str(openvino_engine.core().get_property("CPU", "FULL_DEVICE_NAME"))
    return {"processor": name, "openvino": str(openvino_engine.package().get_version())}
