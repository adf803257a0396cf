"""Networks in OpenVINO, on the CPU or on an Intel GPU. Nothing here imports torch."""

from __future__ import annotations

import json
import sys
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from medsr.core.errors import UsageError, WeightsError
from medsr.core.text import reason
from medsr.core.threads import threads
from medsr.core.types import Array
from medsr.engines.base import LARGEST_DIFFERENCE
from medsr.engines.rewriting import rewrite
from medsr.io.files import utf8_name
from medsr.networks.architectures import condition_maps

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


def gpu(device: str) -> str | None:
    """OpenVINO's name of the Intel GPU that `gpu` or `gpu:1` means; None for any other device.

    Raises UsageError where OpenVINO lists no such GPU, or is missing.
    """
    kind, _, number = device.partition(":")
    if kind != "gpu":
        return None
    listed = [name for name in core().available_devices if name.partition(".")[0] == "GPU"]
    numbered = {name.partition(".")[2] or "0": name for name in listed}  # a single one may have no number
    if (number or "0") not in numbered:
        there = ", ".join(f"gpu:{number}" for number in sorted(numbered))
        advice = f"there is {there}" if there else "use `device=cpu`"
        raise UsageError(f"`device={device}`: OpenVINO does not list such an Intel GPU here; {advice}")
    return numbered[number or "0"]


def gpus() -> list[str]:
    """The Intel GPUs that OpenVINO lists, by their full names."""
    door = core()
    names = [name for name in door.available_devices if name.partition(".")[0] == "GPU"]
    return [str(door.get_property(name, "FULL_DEVICE_NAME")) for name in names]


class OpenvinoEngine:
    """A compiled model. `card`: what the file says of itself. `device`: `cpu`, or one that `gpu` knows."""

    name = "openvino"

    def __init__(self, model: Any, card: dict[str, Any], device: str = "cpu") -> None:
        self.precision = str(card.get("precision", "fp32"))
        settings: dict[str, Any] = {
            # else CPUs with bf16 and GPUs round to fewer bits without a word
            "INFERENCE_PRECISION_HINT": "bf16" if self.precision == "bf16" else "f32",
            "PERFORMANCE_HINT": "LATENCY",
        }
        chosen = gpu(device)
        if chosen is None:
            settings["INFERENCE_NUM_THREADS"] = threads()
            settings["ENABLE_CPU_PINNING"] = False  # two processes that pin their threads sit on the same core
            model = rewrite(model)
        self.device = "cpu" if chosen is None else device
        self.card = card
        self.features = int(card["spec"]["hyperparameters"].get("features", 64))
        self.compiled_model = core().compile_model(model, chosen or "CPU", settings)
        self._request = self.compiled_model.create_infer_request()

    def __call__(self, batch: Array) -> Array:
        inputs = np.ascontiguousarray(batch, np.float32)
        outputs: Array = self._request.infer([inputs], share_inputs=True)[0]
        return outputs


def compiled_engine(model: Any, card: dict[str, Any], device: str) -> OpenvinoEngine:
    """The model on a device. One on a GPU must compute what the CPU computes: nobody has measured it before."""
    if gpu(device) is None:
        return OpenvinoEngine(model, card)
    spec = card["spec"]
    channels = spec["channels"] + condition_maps(spec["architecture"])
    probe = np.random.default_rng(0).random((1, channels, 64, 64), dtype=np.float32)
    try:
        engine = OpenvinoEngine(model, card, device)
        difference = float(np.abs(engine(probe).astype(np.float64) - OpenvinoEngine(model, card)(probe)).max())
    except RuntimeError as error:
        raise UsageError(f"`device={device}`: OpenVINO cannot use it ({reason(error)}); use `device=cpu`") from error
    if not difference <= LARGEST_DIFFERENCE:
        raise UsageError(
            f"`device={device}`: its results differ from the CPU's by {difference:.1g} of full range, more than "
            f"{LARGEST_DIFFERENCE:g}; use `device=cpu`"
        )
    return engine


def read(path: Path) -> tuple[Any, dict[str, Any]]:
    """An exported `.xml` (its `.bin` beside it) or `.onnx` file and its card.

    Raises WeightsError for what cannot be read or was not exported by medsr, UsageError where OpenVINO is missing.
    """
    door = core()
    try:
        with utf8_name(path) as named, utf8_name(path.with_suffix(".bin")) as weights:
            model = door.read_model(named, weights) if path.suffix == ".xml" else door.read_model(named)
        card = json.loads(_card_of(model, path))
        if not _is_card(card):
            raise ValueError("its card is not whole")
    except (RuntimeError, ValueError, KeyError, RecursionError, OverflowError) as error:
        raise WeightsError(f"{path}: not a model that medsr exported ({reason(error, path)})") from error
    return model, card


def _is_card(card: Any) -> bool:
    """Whether it says what its readers rely on: what network it is, of which weights, and of int8 what that loses."""
    spec = card.get("spec") if isinstance(card, dict) else None
    if not isinstance(spec, dict) or not all(isinstance(card.get(name), str) for name in ("sha256", "precision")):
        return False
    kinds = {"architecture": str, "scale": int, "channels": int, "hyperparameters": dict}
    measured = card.get("measured", {})
    return (
        all(isinstance(spec.get(name), kind) for name, kind in kinds.items())
        and isinstance(measured, dict)
        and all(isinstance(measured.get(name, 0), int | float) for name in ("loss_db", "largest_difference"))
    )


def _card_of(model: Any, path: Path) -> str:
    where = ["framework", CARD] if path.suffix == ".onnx" else CARD
    return str(model.get_rt_info(where).value)
