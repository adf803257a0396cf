"""How fast this processor computes a network in each precision: measured once, and kept in the cache.

Processes that begin together measure one after the other, and all of them take the first one's word: else a cohort's
scans would be computed in different precisions.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

from medsr.core.version import __version__
from medsr.engines import openvino_engine
from medsr.engines.base import Engine
from medsr.engines.benchmark_engines import seconds_of
from medsr.engines.model_cache import cache_path, writable
from medsr.io.files import read_text, write_text
from medsr.io.lock import held

FASTER = 0.9
"""Of the time in more bits: what fewer bits may take at most for `auto` to take them."""
_NAME = "speed"
STEPS = ("fp32", "bf16", "int8")
"""From the most exact on."""


def recorded(digest: str, wanted: str) -> dict[str, float]:
    """Seconds by precision, measured on such a processor with the weights of that SHA-256; empty where they were not.

    `wanted`: `auto` or `openvino`, which computes fp32.
    """
    try:
        record = json.loads(read_text(_record(digest, wanted)))
        if record["on"] != _here():
            return {}
        seconds = {str(precision): float(value) for precision, value in record["seconds"].items()}
        return seconds if STEPS[0] in seconds else {}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError, OverflowError):
        return {}


def can_record(digest: str) -> bool:
    """Whether a measurement can be kept. Else it would be made anew in every run, and might come out otherwise."""
    return writable(_folder(digest))


def measure(digest: str, wanted: str, engines: Mapping[str, Engine], spec: Mapping[str, object]) -> dict[str, float]:
    """Time a network's engines, one for each precision; returns what is kept of it, as `recorded`.

    That is another process's measurement, where it was first.
    """
    with held(_folder(digest)):
        if not recorded(digest, wanted):
            seconds = dict(zip(engines, seconds_of(list(engines.values()), spec), strict=True))
            with suppress(OSError):  # the disk may have no room
                write_text(_record(digest, wanted), json.dumps({"on": _here(), "seconds": seconds}) + "\n")
        return recorded(digest, wanted)


def forget(digest: str) -> None:
    """Measure anew the next time, on every processor: there is another model of one precision."""
    for path in _folder(digest).glob(f"{_NAME}-*.json"):
        path.unlink(missing_ok=True)


def quickest(seconds: Mapping[str, float]) -> str:
    """The precision to take: fewer bits only where they are clearly faster than more."""
    best = STEPS[0]
    for precision in STEPS[1:]:
        if precision in seconds and seconds[precision] <= FASTER * seconds[best]:
            best = precision
    return best


def _folder(digest: str) -> Path:
    return cache_path(digest, "auto").parent


def _record(digest: str, wanted: str) -> Path:
    """One for every kind of processor: a cluster's machines share a home."""
    key = json.dumps([wanted, _here()], sort_keys=True)
    return _folder(digest) / f"{_NAME}-{hashlib.sha256(key.encode()).hexdigest()[:12]}.json"


@lru_cache(1)
def _here() -> dict[str, str]:
    core = openvino_engine.core()
    return {
        "processor": str(core.get_property("CPU", "FULL_DEVICE_NAME")),
        # virtual machines hide their processors' full names
        "computes in": " ".join(sorted(core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"))),
        "openvino": str(openvino_engine.package().get_version()),
        "medsr": __version__,  # another may know more precisions
    }
