"""Converted models kept in the user's cache, and which engine is the fastest that may be trusted."""

from __future__ import annotations

import logging
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

from medsr.core import isolation
from medsr.core.devices import choose
from medsr.core.errors import ComputationError, MedsrError, UsageError, WeightsError
from medsr.core.resources import home
from medsr.core.text import reason, shown
from medsr.engines import openvino_engine
from medsr.engines.base import LARGEST_DIFFERENCE, Compute, Engine
from medsr.engines.guarded import GuardedEngine
from medsr.engines.int8 import (
    can_record,
    check_int8,
    find_int8,
    good_unasked,
    measure_speed,
    recorded_as_faster,
)
from medsr.engines.model_cache import cache_path, kept_engine, shipped_engine, writable
from medsr.engines.openvino_engine import OpenvinoEngine, compiled_engine
from medsr.io.files import sha256
from medsr.networks import checkpoint, weight_store
from medsr.networks.spandrel_loader import check_precision

if TYPE_CHECKING:
    from medsr.networks.checkpoint import Spec

EXPORTED = (".xml", ".onnx")
"""How exported models are called."""
ABOUT_AS_FAST = 1.1
"""OpenVINO that takes so much longer than torch is still chosen: it is loaded three seconds sooner."""


def open_engine(path: Path, name: str, compute: Compute) -> tuple[Engine, Spec]:
    """The engine for a weight file (.safetensors, .pth), or an exported file (.xml, .onnx), and what network it is.

    `engine=auto` takes OpenVINO on a CPU where it was measured to be faster than torch and to differ from it by less
    than `LARGEST_DIFFERENCE`; `precision=auto` takes int8 there where it was measured to lose next to nothing
    (`int8.good_unasked`), and to be faster. The measuring happens once and is kept. Raises UsageError or WeightsError.
    """
    if path.suffix in EXPORTED:
        return _exported(path, compute)
    wanted = _wanted(compute)
    if wanted == "torch":
        return _in_torch(path, choose(compute.device), compute.in_torch, compute.compiled)
    digest = sha256(path)
    if compute.precision == "int8":
        return _in_int8(path, name, digest, compute)
    if compute.precision == "auto" and openvino_engine.gpu(compute.device) is None:
        if recorded_as_faster(digest) is False:
            return _in_fp32(path, name, digest, wanted, compute)
        quantised = find_int8(path, digest)
        if quantised is not None and good_unasked(quantised.card):
            return _faster(quantised, path, name, digest, compute)
    return _in_fp32(path, name, digest, wanted, compute)


def _in_int8(path: Path, name: str, digest: str, compute: Compute) -> tuple[Engine, Spec]:
    if checkpoint.is_foreign(path):
        raise UsageError(f"`precision=int8`: {name} is another project's architecture, which runs in torch: fp32")
    quantised = find_int8(path, digest)
    if quantised is None:
        raise UsageError(
            f"`precision=int8`: {name} has not been calibrated on this machine: medsr export {name} --to openvino "
            "--int8 --calibrate FOLDER_OF_IMAGES"
        )
    check_int8(quantised.card, name)
    return _guarded(quantised, path, name, digest, compute), _spec(quantised.card)


def _guarded(quantised: OpenvinoEngine, path: Path, name: str, digest: str, compute: Compute) -> Engine:
    """With fp32 for what lies beyond what calibrated."""
    return GuardedEngine(quantised, lambda: _in_fp32(path, name, digest, "openvino", compute)[0])


def _faster(quantised: OpenvinoEngine, path: Path, name: str, digest: str, compute: Compute) -> tuple[Engine, Spec]:
    """int8 where this processor gains by it, else fp32."""
    faster = recorded_as_faster(digest)
    if faster is None and can_record(digest):
        plain, _ = _in_fp32(path, name, digest, _wanted(compute), compute)
        measure_speed(digest, quantised, plain)
        faster = recorded_as_faster(digest)
    if faster:
        return _guarded(quantised, path, name, digest, compute), _spec(quantised.card)
    return _in_fp32(path, name, digest, _wanted(compute), compute)


def _in_fp32(path: Path, name: str, digest: str, wanted: str, compute: Compute) -> tuple[Engine, Spec]:
    kept = shipped_engine(path, digest, "fp32", compute.device)
    kept = kept or kept_engine(cache_path(digest, "fp32"), digest, compute.device)
    if kept is None and checkpoint.is_foreign(path):
        if wanted == "openvino":
            raise UsageError(f"{name}: another project's architecture, which runs in torch: leave `engine` out")
        return _in_torch(path, "cpu", "fp32")
    if kept is None or (wanted == "auto" and "seconds" not in kept.card):
        if wanted == "auto" and not writable(cache_path(digest, "fp32").parent.parent):
            logging.getLogger(__name__).warning(
                f"{shown(name)}: computed in torch, as its conversion for OpenVINO cannot be kept: {home()} cannot be "
                "written; MEDSR_HOME names another folder"
            )
            return _in_torch(path, "cpu", "fp32")
        kept = _converted(path, name, digest, compute.device)
    if wanted == "auto" and not _better(kept.card):
        return _in_torch(path, "cpu", "fp32")
    return kept, _spec(kept.card)


def _wanted(compute: Compute) -> str:
    """`auto` where there is a choice, else `torch` or `openvino`."""
    if openvino_engine.gpu(compute.device):
        _check_gpu_wish(compute)
        return "openvino"
    if compute.engine == "torch" or compute.compiled:
        return "torch"
    on_cpu = choose(compute.device) == "cpu"
    if compute.engine == "openvino" or compute.precision == "int8":
        if not on_cpu:
            raise UsageError("OpenVINO computes on the CPU here: `device=cpu`, or leave `engine` and int8 out")
        if not openvino_engine.available():
            raise UsageError(openvino_engine.HOW_TO_GET)
        return "openvino"
    return "auto" if on_cpu and compute.in_torch == "fp32" and openvino_engine.available() else "torch"


def check_device(device: str) -> None:
    """Raise UsageError where there is no such device, before anything is begun."""
    if not openvino_engine.gpu(device):
        choose(device)


def _check_gpu_wish(compute: Compute) -> None:
    if compute.engine == "torch" or compute.compiled or compute.precision in ("fp16", "bf16"):
        raise UsageError(f"`device={compute.device}`: OpenVINO in fp32; leave `engine`, `precision`, `compiled` out")
    if compute.precision == "int8":
        raise UsageError("`precision=int8`: was measured on the CPU; use `device=cpu`")


def _in_torch(path: Path, device: str, precision: str, compiled: bool = False) -> tuple[Engine, Spec]:
    from medsr.engines.torch_engine import TorchEngine

    net, spec = checkpoint.load(path)
    check_precision(net, precision, path.name)
    return TorchEngine(net, device, precision, compiled), spec


def _exported(path: Path, compute: Compute) -> tuple[Engine, Spec]:
    if compute.engine == "torch" or compute.compiled or compute.precision in ("fp16", "bf16"):
        raise UsageError(f"{path}: an exported model runs in OpenVINO, at its own precision")
    if openvino_engine.gpu(compute.device):
        _check_gpu_wish(compute)
    elif choose(compute.device) != "cpu":
        raise UsageError(f"{path}: an exported model runs on the CPU here: `device=cpu`")
    model, card = openvino_engine.read(path)
    if openvino_engine.gpu(compute.device) and card["precision"] == "int8":
        raise UsageError(f"{path}: int8 was measured on the CPU; use `device=cpu`")
    if compute.precision == "int8" and card["precision"] != "int8":
        raise UsageError(f"`precision=int8`: {path} was exported in {card['precision']}")
    engine = compiled_engine(model, card, compute.device)
    if card["precision"] != "int8":
        return engine, _spec(card)
    check_int8(card, path.name)
    return GuardedEngine(engine, lambda: _fp32_of(path, card["sha256"], compute)), _spec(card)


def _fp32_of(path: Path, digest: str, compute: Compute) -> Engine:
    """In fp32, the weights that an exported model was made from. Raises ComputationError where they are not here."""
    for name, entry in weight_store.entries().items():
        if entry.sha256 == digest and entry.path.is_file():
            return _in_fp32(entry.path, name, digest, "openvino", compute)[0]
    kept = kept_engine(cache_path(digest, "fp32"), digest)
    if kept is None:
        raise ComputationError(
            f"{path.name}: was not calibrated for an input so sharp, bright or coloured; use the weights it was made of"
        )
    return kept


def _spec(card: dict[str, Any]) -> Spec:
    from medsr.networks.checkpoint import Spec

    try:
        return Spec(**card["spec"])
    except TypeError as error:
        raise WeightsError(f"the exported model's card is damaged ({reason(error)})") from error


def _converted(path: Path, name: str, digest: str, device: str) -> OpenvinoEngine:
    """Convert and measure a weight file, in a process of its own: this one need not hold torch for it."""
    model = name if name in weight_store.entries() else str(path)
    command = isolation.command("export", model, "--to", "openvino")
    process = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    kept = kept_engine(cache_path(digest, "fp32"), digest, device)
    if process.returncode or kept is None:
        reason = (process.stderr.strip().splitlines() or ["no reason given"])[-1].removeprefix("medsr: ")
        kind = next(
            (error_type for error_type in (UsageError, WeightsError) if error_type.exit_code == process.returncode),
            MedsrError,
        )
        raise kind(f"{name}: cannot be converted for OpenVINO ({reason}); `engine=torch` goes without")
    return kept


def _better(card: dict[str, Any]) -> bool:
    seconds = card["seconds"]
    return bool(card["difference"] <= LARGEST_DIFFERENCE and seconds["openvino"] < ABOUT_AS_FAST * seconds["torch"])


def reach_of(name: str, engine: Engine) -> int | None:
    """How many pixels away an input still changes the result (`engines.reach`): as the manifest or the exported card
    says it; None where neither does."""
    entry = weight_store.entries().get(name)
    reach = entry.reach if entry and entry.reach else getattr(engine, "card", {}).get("reach")
    return reach if isinstance(reach, int) and reach > 0 else None
