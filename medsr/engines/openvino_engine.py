"""Networks in OpenVINO, on the CPU. Nothing here imports torch."""

from __future__ import annotations

import json
import os
import sys
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from medsr.core.errors import UsageError, WeightsError
from medsr.core.text import reason
from medsr.core.types import Array
from medsr.io.files import utf8_name

CARD = "medsr"
"""Where an exported model's card is: a string of JSON, in OpenVINO's rt_info and in ONNX's metadata."""
HOW_TO_GET = 'OpenVINO is not installed here: pip install "medsr[openvino]"'


def available() -> bool:
    """Whether the package is there."""
    from importlib.util import find_spec

    return find_spec("openvino") is not None


def package() -> Any:
    """The module `openvino`, kept from telling its maker. Raises UsageError where it is missing.

    OpenVINO and NNCF send usage events when imported, unless the package openvino_telemetry is absent: so it is.
    """
    if "openvino" not in sys.modules:
        sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]
    try:
        import openvino
    except ImportError as error:
        raise UsageError(HOW_TO_GET) from error
    return openvino


@cache
def core() -> Any:
    """OpenVINO's door, one for the life of the process: its plugins must not be unloaded under whoever forks later.

    Raises UsageError where the package is missing.
    """
    return package().Core()


class OpenvinoEngine:
    """A compiled model. `card`: what the file says of itself."""

    name = "openvino"
    device = "cpu"

    def __init__(self, model: Any, card: dict[str, Any]) -> None:
        settings = {
            "INFERENCE_PRECISION_HINT": "f32",  # else a CPU with bf16 rounds to 8 bits of mantissa without a word
            "INFERENCE_NUM_THREADS": threads(),
            "PERFORMANCE_HINT": "LATENCY",
            "ENABLE_CPU_PINNING": False,  # two processes that pin their threads sit on the same core
        }
        self.card = card
        self.precision = str(card.get("precision", "fp32"))
        self.features = int(card["spec"]["hyperparameters"].get("features", 64))
        self._request = core().compile_model(model, "CPU", settings).create_infer_request()

    def __call__(self, batch: Array) -> Array:
        inputs = np.ascontiguousarray(batch, np.float32)
        outputs: Array = self._request.infer([inputs], share_inputs=True)[0]
        return outputs


def threads() -> int:
    """As torch chooses: OMP_NUM_THREADS, else the cores this process may use."""
    threads_wanted = os.environ.get("OMP_NUM_THREADS", "")
    if threads_wanted.isdigit() and int(threads_wanted) > 0:
        return int(threads_wanted)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def read(path: Path) -> tuple[Any, dict[str, Any]]:
    """An exported `.xml` (its `.bin` beside it) or `.onnx` file and its card.

    Raises WeightsError for what cannot be read or was not exported by medsr, UsageError where OpenVINO is missing.
    """
    door = core()
    try:
        with utf8_name(path) as named, utf8_name(path.with_suffix(".bin")) as weights:
            model = door.read_model(named, weights) if path.suffix == ".xml" else door.read_model(named)
        card = json.loads(_card_of(model, path))
        if not isinstance(card, dict) or not {"spec", "sha256", "precision"} <= card.keys():
            raise ValueError("its card is not whole")
    except (RuntimeError, ValueError, KeyError, RecursionError) as error:
        raise WeightsError(f"{path}: not a model that medsr exported ({reason(error, path)})") from error
    return model, card


def _card_of(model: Any, path: Path) -> str:
    where = ["framework", CARD] if path.suffix == ".onnx" else CARD
    return str(model.get_rt_info(where).value)
