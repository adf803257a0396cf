"""Converted models kept in the user's cache, and which engine is the fastest that may be trusted."""

from __future__ import annotations

import hashlib
import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from medsr.devices import choose
from medsr.engines import intel
from medsr.engines.base import LARGEST_DIFFERENCE, LARGEST_LOSS, Array, Compute, Engine
from medsr.engines.intel import OpenvinoEngine
from medsr.errors import UsageError, WeightsError
from medsr.io.files import sha256, write_text
from medsr.resources import home

if TYPE_CHECKING:
    from medsr.nets.checkpoint import Spec

PROBE = 64
"""Side of the noise that engines are compared and timed on."""
QUICK = 0.1
"""Seconds: a probe that takes less is made larger."""
ABOUT_AS_FAST = 1.1
"""OpenVINO that takes so much longer than torch is still chosen: it is loaded three seconds sooner."""


def place(digest: str, precision: str) -> Path:
    """Where the conversion of a weight file is kept. `digest`: the weight file's SHA-256."""
    return home() / "engines" / f"{digest[:16]}-{precision}" / "model.xml"


def open_engine(path: Path, name: str, compute: Compute) -> tuple[Engine, Spec]:
    """The engine for a weight file (.safetensors, .pth), or an exported file (.xml, .onnx), and what network it is.

    `auto` takes OpenVINO on a CPU where it was measured to be faster than torch and to differ from it by less than
    `LARGEST_DIFFERENCE`; the measuring happens once and is kept. Raises UsageError or WeightsError.
    """
    if path.suffix in (".xml", ".onnx"):
        return _exported(path, compute)
    wanted = _wanted(compute)
    if wanted == "torch":
        return _in_torch(path, choose(compute.device), compute.precision)
    digest = sha256(path)
    kept = _kept(place(digest, compute.precision), digest)
    if compute.precision == "int8":
        if kept is None:
            raise UsageError(
                f"--precision int8: {name} has not been calibrated on this machine: medsr export {name} --to openvino "
                "--int8 --calibrate FOLDER_OF_IMAGES"
            )
        _check_loss(kept.card, name)
        return kept, _spec(kept.card)
    if kept is None or (wanted == "auto" and "seconds" not in kept.card):
        kept = _converted(path, name, digest)
    if wanted == "auto" and not _better(kept.card):
        return _in_torch(path, "cpu", "fp32")
    return kept, _spec(kept.card)


def _wanted(compute: Compute) -> str:
    """`auto` where there is a choice, else `torch` or `openvino`."""
    if compute.engine == "torch":
        return "torch"
    on_cpu = choose(compute.device) == "cpu"
    if compute.engine == "openvino" or compute.precision == "int8":
        if not on_cpu:
            raise UsageError("OpenVINO computes on the CPU here: --device cpu, or leave --engine and int8 out")
        if not intel.available():
            raise UsageError(intel.HOW_TO_GET)
        return "openvino"
    return "auto" if on_cpu and compute.precision == "fp32" and intel.available() else "torch"


def _in_torch(path: Path, device: str, precision: str) -> tuple[Engine, Spec]:
    from medsr.engines.pytorch import TorchEngine
    from medsr.nets import checkpoint

    net, spec = checkpoint.load(path)
    return TorchEngine(net, device, precision), spec


def _exported(path: Path, compute: Compute) -> tuple[Engine, Spec]:
    if compute.engine == "torch" or compute.precision in ("fp16", "bf16"):
        raise UsageError(f"{path}: an exported model runs in OpenVINO, at its own precision")
    if choose(compute.device) != "cpu":
        raise UsageError(f"{path}: an exported model runs on the CPU here: --device cpu")
    model, card = intel.read(path)
    if compute.precision == "int8" and card["precision"] != "int8":
        raise UsageError(f"--precision int8: {path} was exported in {card['precision']}")
    return OpenvinoEngine(model, card), _spec(card)


def _spec(card: dict[str, Any]) -> Spec:
    from medsr.nets.checkpoint import Spec

    try:
        return Spec(**card["spec"])
    except TypeError as error:
        raise WeightsError(f"the exported model's card is damaged ({error})") from error


def _kept(path: Path, digest: str) -> OpenvinoEngine | None:
    """What was converted before, if it is whole, of these weights and by this version of OpenVINO; else None."""
    try:
        told = json.loads((path.parent / "files.json").read_text(encoding="utf-8"))
        whole = told == _files(path)
        model, card = intel.read(path) if whole else (None, {})
    except (OSError, ValueError, WeightsError):
        return None
    return OpenvinoEngine(model, card) if whole and card["sha256"] == digest else None


def keep(path: Path, model: Any, card: dict[str, Any]) -> None:
    """Write a conversion into the cache; it counts once its list of files is there."""
    from medsr.engines.convert import save_openvino

    path.parent.mkdir(parents=True, exist_ok=True)
    (path.parent / "files.json").unlink(missing_ok=True)
    save_openvino(path, model, card)
    write_text(path.parent / "files.json", json.dumps(_files(path)) + "\n")


def _files(path: Path) -> dict[str, str]:
    import openvino

    files = {one.name: sha256(one) for one in (path, path.with_suffix(".bin"))}
    return files | {"openvino": openvino.get_version()}


def _converted(path: Path, name: str, digest: str) -> OpenvinoEngine:
    """Convert a weight file, measure it beside torch, and keep both."""
    from filelock import FileLock

    from medsr.engines.convert import card_of, difference, to_onnx, to_openvino
    from medsr.engines.pytorch import TorchEngine
    from medsr.nets import checkpoint

    target = place(digest, "fp32")
    target.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(target.parent / ".lock"):
        if (kept := _kept(target, digest)) is not None and "seconds" in kept.card:
            return kept  # another process was faster
        net, spec = checkpoint.load(path)
        training = checkpoint.describe(path).get("training", {})
        card = card_of(name, digest, spec, training if isinstance(training, dict) else {})
        model = to_openvino(to_onnx(net, spec))
        engine, torch_engine = OpenvinoEngine(model, card), TorchEngine(net)
        channels = spec.channels + 2 if spec.architecture == "refiner" else spec.channels
        probe = np.random.default_rng(0).random((1, channels, PROBE, PROBE), dtype=np.float32)
        theirs, ours = torch_engine(probe), engine(probe)
        card["difference"] = difference(ours, theirs)
        card["seconds"] = _race(torch_engine, engine, probe)
        keep(target, model, card)
    return engine


def _race(torch_engine: Engine, openvino_engine: Engine, probe: Array) -> dict[str, float]:
    """Seconds of each, in turn; the fastest of four rounds: what disturbs makes slower, never faster."""
    if _time(torch_engine, probe) < QUICK:  # too short to compare: four times as much
        probe = np.tile(probe, (1, 1, 2, 2))
        for engine in (torch_engine, openvino_engine):
            engine(probe)  # what a new shape costs once
    rounds = [(_time(torch_engine, probe), _time(openvino_engine, probe)) for _ in range(4)]
    return {"torch": min(one[0] for one in rounds), "openvino": min(one[1] for one in rounds)}


def _time(engine: Engine, probe: Array) -> float:
    began = time.perf_counter()
    engine(probe)
    return time.perf_counter() - began


def _better(card: dict[str, Any]) -> bool:
    seconds = card["seconds"]
    return bool(card["difference"] <= LARGEST_DIFFERENCE and seconds["openvino"] < ABOUT_AS_FAST * seconds["torch"])


def _check_loss(card: dict[str, Any], name: str) -> None:
    loss = float(card.get("measured", {}).get("loss_db", np.inf))
    if not loss <= LARGEST_LOSS:
        raise UsageError(f"--precision int8: {name} loses {loss:.2f} dB that way, more than {LARGEST_LOSS}; use fp32")


def exported_hash(path: Path) -> str:
    """SHA-256 of an exported model: of the `.onnx`, or of `.xml` and `.bin` together."""
    if path.suffix != ".xml":
        return sha256(path)
    return hashlib.sha256(f"{sha256(path)} {sha256(path.with_suffix('.bin'))}".encode()).hexdigest()
