"""The files that a sidecar names, where they lie now: the input and the weights, each with the same SHA-256."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from medsr.core.errors import InputError, UsageError, WeightsError
from medsr.engines.int8 import find_int8
from medsr.io.files import sha256
from medsr.io.local_record import place_of
from medsr.networks import weight_store
from medsr.volumes.models import weights_hash


def input_of(
    sidecar: Path, entry: dict[str, Any], replacement: str | Path | None, digest: Callable[[Path], str]
) -> Path:
    """The input of an entry: where the sidecar, this machine's record or the user (`replacement`) says that it is.

    Raises InputError where it is not there or not the same.
    """
    named = entry["input_file"] if "input_file" in entry else entry["input"]
    path = sidecar.parent / named if replacement is None else Path(replacement)
    try:
        holds = sidecar.resolve().is_relative_to(path.resolve())  # a stranger's may name the whole disk
        if replacement is None and (holds or not os.path.exists(path) or digest(path) != entry["input_sha256"]):
            path = place_of(entry["input_sha256"]) or path
        if not os.path.exists(path):
            raise InputError(f"{path}: the input is not there; say where it is with `input`{_came_from(entry)}")
        if sidecar.resolve().is_relative_to(path.resolve()):
            raise InputError(
                f"{path}: the folder of the input holds this sidecar, so its files are not the same; "
                "copy the scan alone, and name the copy with `input`"
            )
        same = digest(path) == entry["input_sha256"]
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from error
    if not same:
        raise InputError(
            f"{path}: is not the input this result was made of (another SHA-256); say where it is with `input`"
        )
    return path


def _came_from(entry: dict[str, Any]) -> str:
    """Of an input that an archive gave, in words."""
    archive = entry.get("archive")
    address = archive.get("address") if isinstance(archive, dict) else None
    return f" (fetched from {address})" if isinstance(address, str) else ""


def inputs_of(
    sidecar: Path, entries: Sequence[dict[str, Any]], replacements: Sequence[str | Path], digest: Callable[[Path], str]
) -> list[Path]:
    """Those of scans that were put together, in their order, each as `input_of`.

    `replacements`: none, one for each, or one for all, where they are series of one folder. Raises UsageError for
    another number.
    """
    places: list[str | Path | None] = list(replacements) or [None] * len(entries)
    if len(places) == 1 and len({entry["sha256"] for entry in entries}) == 1:
        places *= len(entries)
    if len(places) != len(entries):
        names = ", ".join(Path(entry["file"]).name for entry in entries)
        raise UsageError(f"`input`: the sidecar is of {len(entries)} scans ({names}); give each, in this order")
    pairs = zip(entries, places, strict=True)
    return [input_of(sidecar, named_input(entry), replacement, digest) for entry, replacement in pairs]


def named_input(entry: dict[str, Any]) -> dict[str, Any]:
    """One of several files of a sidecar, as `input_of` takes it."""
    return {"input_file": entry["file"], "input_sha256": entry["sha256"], "archive": entry.get("archive")}


def weights_of(sidecar: Path, model: dict[str, Any], replacement: str | Path | None) -> str | Path:
    """The model a result was made with: by its name, or given where its file was moved."""
    if model["sha256"] is None:
        return str(model["name"])
    weights = locate(model["name"], sidecar, model["sha256"]) if replacement is None else replacement
    if weights_hash(weights) != model["sha256"]:
        raise WeightsError(f"{weights}: these weights are not those the result was made with (another SHA-256)")
    return str(weights)


def check_calibration(model: str | Path, parameters: Mapping[str, Any]) -> None:
    """Raise WeightsError where a result was made in int8 that was calibrated on other images than today's."""
    expected = parameters.get("int8_sha256")  # older sidecars do not say
    if expected is None:
        return
    path = weight_store.locate(model)
    quantised = find_int8(path, sha256(path))
    if quantised is not None and quantised.card.get("int8_sha256") != expected:
        raise WeightsError(f"{model}: was calibrated again for int8 since; the result cannot be made again exactly")


def locate(name: str, sidecar: Path, digest: str | None) -> str:
    """A weight file that a sidecar names from where it lies itself, or by its name alone, where this machine remembers
    it; older sidecars name it from where medsr was called."""
    beside = sidecar.parent / name
    if (len(Path(name).parts) > 1 or Path(name).suffix) and os.path.isfile(beside):
        return str(beside)
    remembered = place_of(digest) if digest and not os.path.isfile(name) else None
    return str(remembered) if remembered is not None and remembered.name == name else name
