"""Converted models kept in the user's cache, and which engine is the fastest that may be trusted."""

from __future__ import annotations

import hashlib
import json
import logging
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from medsr.core import isolation
from medsr.core.devices import choose
from medsr.core.errors import MedsrError, UsageError, WeightsError
from medsr.core.resources import home, resource_dir
from medsr.core.text import reason, shown
from medsr.engines import openvino_engine
from medsr.engines.base import LARGEST_DIFFERENCE, LARGEST_LOSS, Compute, Engine
from medsr.engines.openvino_engine import OpenvinoEngine
from medsr.io.files import sha256, write_text
from medsr.networks import checkpoint, weight_store
from medsr.networks.architectures import condition_maps
from medsr.networks.spandrel_loader import check_precision

if TYPE_CHECKING:
    from medsr.networks.checkpoint import Spec

WORTH_A_WARNING = 0.02
"""Of full range: where int8 differs by more on a pixel, whoever uses it is told."""
EXPORTED = (".xml", ".onnx")
"""How exported models are called."""
ABOUT_AS_FAST = 1.1
"""OpenVINO that takes so much longer than torch is still chosen: it is loaded three seconds sooner."""


def cache_path(digest: str, precision: str) -> Path:
    """Where the conversion of a weight file is kept. `digest`: the weight file's SHA-256."""
    return home() / "engines" / f"{digest[:16]}-{precision}" / "model.xml"


def open_engine(path: Path, name: str, compute: Compute) -> tuple[Engine, Spec]:
    """The engine for a weight file (.safetensors, .pth), or an exported file (.xml, .onnx), and what network it is.

    `auto` takes OpenVINO on a CPU where it was measured to be faster than torch and to differ from it by less than
    `LARGEST_DIFFERENCE`; the measuring happens once and is kept. Raises UsageError or WeightsError.
    """
    if path.suffix in EXPORTED:
        return _exported(path, compute)
    wanted = _wanted(compute)
    if wanted == "torch":
        return _in_torch(path, choose(compute.device), compute.precision, compute.compiled)
    digest = sha256(path)
    kept = _shipped(path, digest, compute.device) if compute.precision == "fp32" else None
    kept = kept or _kept(cache_path(digest, compute.precision), digest, compute.device)
    if kept is None and compute.precision == "int8" and checkpoint.is_foreign(path):
        raise UsageError(f"`precision=int8`: {name} is another project's architecture, which runs in torch: fp32")
    if compute.precision == "int8":
        if kept is None:
            raise UsageError(
                f"`precision=int8`: {name} has not been calibrated on this machine: medsr export {name} --to openvino "
                "--int8 --calibrate FOLDER_OF_IMAGES"
            )
        _check_loss(kept.card, name)
        return kept, _spec(kept.card)
    if kept is None and checkpoint.is_foreign(path):
        if wanted == "openvino":
            raise UsageError(f"{name}: another project's architecture, which runs in torch: leave `engine` out")
        return _in_torch(path, "cpu", "fp32")
    if kept is None or (wanted == "auto" and "seconds" not in kept.card):
        if wanted == "auto" and not _writable(cache_path(digest, "fp32").parent.parent):
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
    return "auto" if on_cpu and compute.precision == "fp32" and openvino_engine.available() else "torch"


def check_device(device: str) -> None:
    """Raise UsageError where there is no such device, before anything is begun."""
    if not openvino_engine.gpu(device):
        choose(device)


def _check_gpu_wish(compute: Compute) -> None:
    if compute.engine == "torch" or compute.compiled or compute.precision in ("fp16", "bf16"):
        raise UsageError(f"`device={compute.device}`: OpenVINO in fp32; leave `engine`, `precision`, `compiled` out")
    if compute.precision == "int8":
        raise UsageError("`precision=int8`: was measured on the CPU; use `device=cpu`")


def _compiled(model: Any, card: dict[str, Any], device: str) -> OpenvinoEngine:
    """The model on a device. One on a GPU must compute what the CPU computes: nobody has measured it before."""
    if openvino_engine.gpu(device) is None:
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
    return _compiled(model, card, compute.device), _spec(card)


def _spec(card: dict[str, Any]) -> Spec:
    from medsr.networks.checkpoint import Spec

    try:
        return Spec(**card["spec"])
    except TypeError as error:
        raise WeightsError(f"the exported model's card is damaged ({reason(error)})") from error


def _kept(path: Path, digest: str, device: str = "cpu") -> OpenvinoEngine | None:
    """What was converted before, if it is whole, of these weights and by this version of OpenVINO; else None."""
    try:
        recorded = json.loads((path.parent / "files.json").read_text(encoding="utf-8"))
        whole = recorded == _files(path)
        model, card = openvino_engine.read(path) if whole else (None, {})
    except (OSError, ValueError, WeightsError):
        return None
    return _compiled(model, card, device) if whole and card["sha256"] == digest else None


def _shipped(path: Path, digest: str, device: str) -> OpenvinoEngine | None:
    """The ONNX beside a bundled weight file: a new user need not wait for a conversion."""
    beside = path.with_suffix(".onnx")
    entry = weight_store.entries().get(path.stem)
    if entry is None or entry.onnx_sha256 is None or path.parent != resource_dir("pretrained"):
        return None
    if not beside.is_file() or sha256(beside) != entry.onnx_sha256:
        return None
    model, card = openvino_engine.read(beside)
    return _compiled(model, card, device) if card["sha256"] == digest else None


def keep(path: Path, model: Any, card: dict[str, Any]) -> None:
    """Write a conversion into the cache; it counts once its list of files is there."""
    from medsr.engines.conversion import save_openvino

    path.parent.mkdir(parents=True, exist_ok=True)
    (path.parent / "files.json").unlink(missing_ok=True)
    save_openvino(path, model, card)
    write_text(path.parent / "files.json", json.dumps(_files(path)) + "\n")


def _files(path: Path) -> dict[str, str]:
    files = {file.name: sha256(file) for file in (path, path.with_suffix(".bin"))}
    return files | {"openvino": openvino_engine.package().get_version()}


def _writable(folder: Path) -> bool:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False


def _converted(path: Path, name: str, digest: str, device: str) -> OpenvinoEngine:
    """Convert and measure a weight file, in a process of its own: this one need not hold torch for it."""
    model = name if name in weight_store.entries() else str(path)
    command = isolation.command("export", model, "--to", "openvino")
    process = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    kept = _kept(cache_path(digest, "fp32"), digest, device)
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


def _check_loss(card: dict[str, Any], name: str) -> None:
    loss = float(card.get("measured", {}).get("loss_db", np.inf))
    if not loss <= LARGEST_LOSS:
        raise UsageError(f"`precision=int8`: {name} loses {loss:.2f} dB that way, more than {LARGEST_LOSS}; use fp32")
    if (largest := float(card["measured"].get("largest_difference", 0))) > WORTH_A_WARNING:
        logging.getLogger(__name__).warning(
            f"`precision=int8`: where {shown(name)} was measured, a single pixel differed from fp32 by up to "
            f"{largest:.0%} of full range; very bright spots differ most"
        )


def exported_hash(path: Path) -> str:
    """SHA-256 of an exported model: of the `.onnx`, or of `.xml` and `.bin` together."""
    if path.suffix != ".xml":
        return sha256(path)
    return hashlib.sha256(f"{sha256(path)} {sha256(path.with_suffix('.bin'))}".encode()).hexdigest()
