"""Converted models, in the user's cache or as they come with medsr: each is whole, and of the weights asked for."""

from __future__ import annotations

import hashlib
import json
import tempfile
from pathlib import Path
from typing import Any

from medsr.core.errors import WeightsError
from medsr.core.resources import home, resource_dir
from medsr.engines import openvino_engine
from medsr.engines.bf16 import bf16_engine
from medsr.engines.openvino_engine import OpenvinoEngine, compiled_engine
from medsr.io.files import read_text, sha256, write_text
from medsr.networks import weight_store


def cache_path(digest: str, precision: str) -> Path:
    """Where the conversion of a weight file is kept. `digest`: the weight file's SHA-256."""
    return home() / "engines" / f"{digest[:16]}-{precision}" / "model.xml"


def kept_engine(path: Path, digest: str, device: str = "cpu", precision: str = "") -> OpenvinoEngine | None:
    """What was converted before, if it is whole, of these weights and by this version of OpenVINO; else None.

    `precision`: `bf16` for one converted in fp32, else as it was converted. Raises UsageError where bf16 is not to be
    had.
    """
    try:
        recorded = json.loads(read_text(path.parent / "files.json"))
        whole = recorded == _files(path)
        model, card = openvino_engine.read(path) if whole else (None, {})
    except (OSError, ValueError, RecursionError, WeightsError):
        return None
    if not whole or card["sha256"] != digest:
        return None
    return _engine(model, _with_hash(path, card), device, precision)


def shipped_engine(path: Path, digest: str, precision: str, device: str = "cpu") -> OpenvinoEngine | None:
    """What comes with medsr beside a bundled weight file, so that nobody need wait for it: ONNX, or a model in int8.

    In fp32 or bf16 from the same ONNX. Raises UsageError where bf16 is not to be had.
    """
    entry = weight_store.entries().get(path.stem)
    if entry is None or path.parent != resource_dir("pretrained"):
        return None
    suffix, expected = (".int8.xml", entry.int8_sha256) if precision == "int8" else (".onnx", entry.onnx_sha256)
    beside = path.with_suffix(suffix)
    if expected is None or not beside.is_file() or exported_hash(beside) != expected:
        return None
    model, card = openvino_engine.read(beside)
    return _engine(model, _with_hash(beside, card), device, precision) if card["sha256"] == digest else None


def _with_hash(path: Path, card: dict[str, Any]) -> dict[str, Any]:
    """The card; of int8 with the hash of the file, as other calibrations of the same weights give other results."""
    return card | {"int8_sha256": exported_hash(path)} if card["precision"] == "int8" else card


def _engine(model: Any, card: dict[str, Any], device: str, precision: str) -> OpenvinoEngine:
    return bf16_engine(model, card) if precision == "bf16" else compiled_engine(model, card, device)


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


def writable(folder: Path) -> bool:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False


def exported_hash(path: Path) -> str:
    """SHA-256 of an exported model: of the `.onnx`, or of `.xml` and `.bin` together."""
    if path.suffix != ".xml":
        return sha256(path)
    return hashlib.sha256(f"{sha256(path)} {sha256(path.with_suffix('.bin'))}".encode()).hexdigest()
