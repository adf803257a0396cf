"""Networks in fp32: in OpenVINO where it was measured to be as right as torch and about as fast, else in torch."""

from __future__ import annotations

import logging
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from medsr.core import isolation
from medsr.core.errors import MedsrError, UsageError, WeightsError
from medsr.core.resources import home
from medsr.core.text import reason, shown
from medsr.engines.base import LARGEST_DIFFERENCE, Compute, Engine
from medsr.engines.model_cache import cache_path, kept_engine, shipped_engine, writable
from medsr.engines.openvino_engine import OpenvinoEngine
from medsr.io.lock import held
from medsr.networks import checkpoint, weight_store
from medsr.networks.spandrel_loader import check_precision

if TYPE_CHECKING:
    from medsr.networks.checkpoint import Spec

ABOUT_AS_FAST = 1.1
"""OpenVINO that takes so much longer than torch is still chosen: it is loaded three seconds sooner."""


def spec_of(card: dict[str, Any]) -> Spec:
    from medsr.networks.checkpoint import Spec

    try:
        return Spec(**card["spec"])
    except TypeError as error:
        raise WeightsError(f"the exported model's card is damaged ({reason(error)})") from error


def open_in_fp32(path: Path, name: str, digest: str, wanted: str, compute: Compute) -> tuple[Engine, Spec]:
    kept = shipped_engine(path, digest, "fp32", compute.device)
    kept = kept or kept_engine(cache_path(digest, "fp32"), digest, compute.device)
    if kept is None and checkpoint.is_foreign(path):
        if wanted == "openvino":
            raise UsageError(f"{name}: another project's architecture, which runs in torch: leave `engine` out")
        return open_in_torch(path, "cpu", "fp32")
    if kept is None or (wanted == "auto" and "seconds" not in kept.card):
        if wanted == "auto" and not writable(cache_path(digest, "fp32").parent.parent):
            logging.getLogger(__name__).warning(
                f"{shown(name)}: computed in torch, as its conversion for OpenVINO cannot be kept: {home()} cannot be "
                "written; MEDSR_HOME names another folder"
            )
            return open_in_torch(path, "cpu", "fp32")
        kept = convert(path, name, digest, compute.device)
    if wanted == "auto" and not _better(kept.card):
        return open_in_torch(path, "cpu", "fp32")
    return kept, spec_of(kept.card)


def open_in_torch(path: Path, device: str, precision: str, compiled: bool = False) -> tuple[Engine, Spec]:
    from medsr.engines.torch_engine import TorchEngine

    net, spec = checkpoint.load(path)
    check_precision(net, precision, path.name)
    return TorchEngine(net, device, precision, compiled), spec


def convert(path: Path, name: str, digest: str, device: str) -> OpenvinoEngine:
    """Convert and measure a weight file, in a process of its own: this one need not hold torch for it.

    Of processes that begin together one converts, and the others take its result.
    """
    target = cache_path(digest, "fp32")
    with suppress(OSError):  # said by the conversion
        target.parent.mkdir(parents=True, exist_ok=True)
    with held(target.parent):
        kept = kept_engine(target, digest, device)
        if kept is not None and "seconds" in kept.card:
            return kept
        model = name if name in weight_store.entries() else str(path)
        command = isolation.command("export", model, "--to", "openvino")
        process = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
        kept = kept_engine(target, digest, device)
    if process.returncode or kept is None:
        reason = (process.stderr.strip().splitlines() or ["no reason given"])[-1].removeprefix("medsr: ")
        kind = next(
            (error_type for error_type in (UsageError, WeightsError) if error_type.exit_code == process.returncode),
            MedsrError,
        )
        advice = "`engine=torch` with `precision=fp32` goes without"
        raise kind(f"{name}: cannot be converted for OpenVINO ({reason}); {advice}")
    return kept


def _better(card: dict[str, Any]) -> bool:
    seconds = card["seconds"]
    return bool(card["difference"] <= LARGEST_DIFFERENCE and seconds["openvino"] < ABOUT_AS_FAST * seconds["torch"])
