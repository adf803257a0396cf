"""Which engine and precision computes a model: the fastest that may be trusted."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

from medsr.core.devices import choose
from medsr.core.errors import ComputationError, UsageError
from medsr.core.resources import home
from medsr.engines import bf16, bf16_cost, openvino_engine, speed
from medsr.engines.base import Compute, Engine
from medsr.engines.fp32 import convert, open_in_fp32, open_in_torch, spec_of
from medsr.engines.guarded import GuardedEngine
from medsr.engines.int8 import check_int8, find_int8, good_unasked
from medsr.engines.model_cache import cache_path, kept_engine, shipped_engine
from medsr.engines.openvino_engine import OpenvinoEngine, compiled_engine
from medsr.io.files import sha256
from medsr.networks import checkpoint, weight_store

if TYPE_CHECKING:
    from medsr.networks.checkpoint import Spec

EXPORTED = (".xml", ".onnx")
"""How exported models are called."""


def open_engine(path: Path, name: str, compute: Compute) -> tuple[Engine, Spec]:
    """The engine for a weight file (.safetensors, .pth), or an exported file (.xml, .onnx), and what network it is.

    `engine=auto` takes OpenVINO on a CPU where it was measured to be faster than torch and to differ from it by less
    than `LARGEST_DIFFERENCE`; `precision=auto` takes bf16 or int8 there where the model was measured to lose next to
    nothing in it, and the processor to be faster. The latter happens once and is kept. Raises UsageError or
    WeightsError.
    """
    if path.suffix in EXPORTED:
        return _exported(path, compute)
    wanted = _wanted(compute)
    if wanted == "torch":
        return open_in_torch(path, choose(compute.device), compute.in_torch, compute.compiled)
    digest = sha256(path)
    if compute.precision == "int8":
        return _in_int8(path, name, digest, compute)
    if compute.precision == "bf16":
        return _in_bf16(path, name, digest, compute)
    if compute.precision == "auto" and openvino_engine.gpu(compute.device) is None:
        return _fastest(path, name, digest, wanted, compute)
    return open_in_fp32(path, name, digest, wanted, compute)


def _fastest(path: Path, name: str, digest: str, wanted: str, compute: Compute) -> tuple[Engine, Spec]:
    """In the precision that this processor gains most by, of those in which next to nothing is lost."""
    seconds = speed.recorded(digest, wanted)
    if not seconds and speed.can_record(digest):
        seconds = _measured(path, name, digest, wanted, compute)
    best = speed.quickest(seconds)
    if best == "int8":
        quantised = find_int8(path, digest)
        if quantised is not None and good_unasked(quantised.card):
            return _guarded(quantised, path, name, digest, compute), spec_of(quantised.card)
    if best == "bf16" and _good_in_bf16(path, digest):
        return _in_bf16(path, name, digest, compute)
    return open_in_fp32(path, name, digest, wanted, compute)


def _measured(path: Path, name: str, digest: str, wanted: str, compute: Compute) -> dict[str, float]:
    """Seconds in fp32, and in bf16 and int8 where the model loses next to nothing in them; of fp32 alone none."""
    quantised = find_int8(path, digest)
    candidates: dict[str, Engine] = {}
    if quantised is not None and good_unasked(quantised.card):
        candidates["int8"] = quantised
    if _good_in_bf16(path, digest):
        with suppress(UsageError):  # this OpenVINO would compute all layers in it
            candidates["bf16"] = _in_bf16(path, name, digest, compute)[0]
    if not candidates:
        return {}
    plain, spec = open_in_fp32(path, name, digest, wanted, compute)
    return speed.measure(digest, wanted, {"fp32": plain, **candidates}, asdict(spec))


def _good_in_bf16(path: Path, digest: str) -> bool:
    return bf16_cost.good_unasked(path, digest) and bf16.available()


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
    return _guarded(quantised, path, name, digest, compute), spec_of(quantised.card)


def _guarded(quantised: OpenvinoEngine, path: Path, name: str, digest: str, compute: Compute) -> Engine:
    """With fp32 for what lies beyond what calibrated."""
    return GuardedEngine(quantised, lambda: open_in_fp32(path, name, digest, "openvino", compute)[0])


def _in_bf16(path: Path, name: str, digest: str, compute: Compute) -> tuple[Engine, Spec]:
    bf16.check_available()
    if checkpoint.is_foreign(path):
        raise UsageError(f"`precision=bf16`: {name} is another project's architecture, which runs in torch: fp32")
    kept = shipped_engine(path, digest, "bf16") or kept_engine(cache_path(digest, "fp32"), digest, precision="bf16")
    if kept is None:
        convert(path, name, digest, compute.device)
        kept = kept_engine(cache_path(digest, "fp32"), digest, precision="bf16")
    if kept is None:
        raise ComputationError(f"{name}: its conversion for OpenVINO could not be kept in {home()}")
    return kept, spec_of(kept.card)


def _wanted(compute: Compute) -> str:
    """`auto` where there is a choice, else `torch` or `openvino`."""
    if openvino_engine.gpu(compute.device):
        _check_gpu_wish(compute)
        return "openvino"
    if compute.engine == "torch" or compute.compiled:
        return "torch"
    on_cpu = choose(compute.device) == "cpu"
    if compute.engine == "openvino" or compute.precision == "int8" or (on_cpu and compute.precision == "bf16"):
        if not on_cpu:
            raise UsageError("OpenVINO computes on the CPU here: `device=cpu`, or leave `engine` and int8 out")
        if not openvino_engine.available():
            raise UsageError(openvino_engine.HOW_TO_GET)
        return "openvino"
    return "auto" if on_cpu and compute.in_torch == "fp32" and openvino_engine.available() else "torch"


def as_stored(model: str | Path, compute: Compute) -> Compute:
    """`compute`; an exported model in the precision that it was exported in."""
    return replace(compute, precision="auto") if Path(model).suffix in EXPORTED else compute


def check_device(device: str) -> None:
    """Raise UsageError where there is no such device, before anything is begun."""
    if not openvino_engine.gpu(device):
        choose(device)


def _check_gpu_wish(compute: Compute) -> None:
    if compute.engine == "torch" or compute.compiled or compute.precision in ("fp16", "bf16"):
        raise UsageError(f"`device={compute.device}`: OpenVINO in fp32; leave `engine`, `precision`, `compiled` out")
    if compute.precision == "int8":
        raise UsageError("`precision=int8`: was measured on the CPU; use `device=cpu`")


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
    if compute.precision in ("fp32", "int8") and card["precision"] != compute.precision:
        raise UsageError(f"`precision={compute.precision}`: {path} was exported in {card['precision']}")
    engine = compiled_engine(model, card, compute.device)
    if card["precision"] != "int8":
        return engine, spec_of(card)
    check_int8(card, path.name)
    return GuardedEngine(engine, lambda: _fp32_of(path, card["sha256"], compute)), spec_of(card)


def _fp32_of(path: Path, digest: str, compute: Compute) -> Engine:
    """In fp32, the weights that an exported model was made from. Raises ComputationError where they are not here."""
    for name, entry in weight_store.entries().items():
        if entry.sha256 == digest and entry.path.is_file():
            return open_in_fp32(entry.path, name, digest, "openvino", compute)[0]
    kept = kept_engine(cache_path(digest, "fp32"), digest)
    if kept is None:
        raise ComputationError(
            f"{path.name}: was not calibrated for an input so sharp, bright or coloured; use the weights it was made of"
        )
    return kept


def reach_of(name: str, engine: Engine) -> int | None:
    """How many pixels away an input still changes the result (`engines.reach`): as the manifest or the exported card
    says it; None where neither does."""
    entry = weight_store.entries().get(name)
    reach = entry.reach if entry and entry.reach else getattr(engine, "card", {}).get("reach")
    return reach if isinstance(reach, int) and reach > 0 else None
