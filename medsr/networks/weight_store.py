"""Weight files by name: those that come with medsr, and those in the cache. None is used unverified."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

from medsr.core.errors import UsageError, WeightsError
from medsr.core.resources import expanded, home, resource_dir
from medsr.core.suggest import did_you_mean
from medsr.io.files import sha256
from medsr.networks import records
from medsr.networks.forms import Form

VOLUME_BASELINES = ("cubic", "back-projected")
BASELINES = ("bicubic", "lanczos", *VOLUME_BASELINES)
USER_LICENCE = "the user's own"
RESERVED = (*BASELINES, "scratch", "auto")


@dataclass(frozen=True)
class WeightEntry:
    """One weight file. `sha256` may be a prefix where the publisher states no more; None where nothing is known yet.

    Only models that come with medsr have these: `onnx_sha256`, of the same weights as ONNX beside it; `int8_sha256`, of
    them in int8 for OpenVINO (`engines.model_cache.exported_hash`); `bf16`, what they were measured to lose with their
    trunk in bfloat16; `reach`, how many pixels away an input still changes the result (`engines.reach`); `strength`,
    how much of their change an input gets (`images.strength`); `suits`, what they are for (fundus, chest, mri);
    `caution`, said whenever medsr chooses them; `released`, the day they came out (2026-11-29).

    `forms`: others in which the same weights may be had; `form`: the one this machine has, where `file`
    is converted; `original`: what it is called at its publisher's.
    """

    name: str
    file: str
    role: str
    architecture: str
    scale: int | None
    licence: str
    source: str
    url: str | None = None
    sha256: str | None = None
    size: int | None = None
    onnx_sha256: str | None = None
    int8_sha256: str | None = None
    bf16: Mapping[str, float] | None = None
    reach: int | None = None
    strength: Mapping[str, Any] | None = None
    suits: str | None = None
    caution: str | None = None
    released: str = ""
    recorded: bool = False
    forms: tuple[Form, ...] = ()
    form: str | None = None
    original: str | None = None

    @property
    def path(self) -> Path:
        """Where the file is, or would be: beside the manifest for those that come with medsr, else in the cache."""
        shipped = resource_dir("pretrained") / self.file
        return shipped if self.url is None and shipped.is_file() else home() / "weights" / self.file


def entries() -> dict[str, WeightEntry]:
    """Every weight file known by name: the manifest's and the user's own, with hashes recorded on first download."""
    by_name = dict(_manifest(resource_dir("pretrained") / "manifest.yml"))
    recorded = records.read()
    for name, fields in recorded["own"].items():
        by_name.setdefault(name, WeightEntry(**fields))
    for name, digest in recorded["hashes"].items():
        if name in by_name and by_name[name].sha256 is None:
            by_name[name] = replace(by_name[name], sha256=digest, recorded=True)
    for name, converted in recorded.get("forms", {}).items():
        if name in by_name and not by_name[name].path.is_file():  # the original counts where it is here, too
            by_name[name] = _converted(by_name[name], converted)
    return by_name


@lru_cache(1)
def _manifest(path: Path) -> Mapping[str, WeightEntry]:
    """The entries that came with medsr. Read once: it is asked for many times, and does not change."""
    return {entry["name"]: _entry(entry) for entry in _fields(path)["weights"]}


@dataclass(frozen=True)
class WithdrawnModel:
    """A model that came with earlier versions: `because`, why it does not any more; `instead`, the one to use."""

    name: str
    because: str
    instead: str


def withdrawn() -> dict[str, WithdrawnModel]:
    """Every withdrawn model by name."""
    fields = _fields(resource_dir("pretrained") / "manifest.yml").get("withdrawn", ())
    return {model["name"]: WithdrawnModel(**model) for model in fields}


@lru_cache(1)
def _fields(path: Path) -> dict[str, Any]:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def known_names() -> set[str]:
    """The names of the manifest, which cannot be given to weights of the user's own."""
    return {name for name, entry in entries().items() if entry.licence != USER_LICENCE}


def _entry(fields: dict[str, Any]) -> WeightEntry:
    forms = tuple(Form(**form) for form in fields.get("forms", ()))
    return WeightEntry(**fields | {"forms": forms})


def _converted(entry: WeightEntry, record: Mapping[str, str]) -> WeightEntry:
    """The entry with the converted file recorded, where a form of today's manifest is its origin; else unchanged."""
    for form in entry.forms:
        if str(form) == record.get("form") and record.get("file") == form.stored_name(entry.file):
            changed = replace(entry, file=record["file"], sha256=record.get("sha256", ""), size=None)
            return replace(changed, form=str(form), original=entry.file)
    return entry


def get(name: str) -> WeightEntry:
    """The entry of that name. Raises UsageError with the nearest name, or with the reason why it was withdrawn."""
    by_name = entries()
    if name not in by_name:
        if model := withdrawn().get(name):
            raise UsageError(f"{name}: was withdrawn, because {model.because}; use {model.instead}")
        if name in RESERVED:
            raise UsageError(f"{name}: has no weights; name a network (see: medsr weights list)")
        hint = did_you_mean(name, [*by_name, *BASELINES], 0.4)
        raise UsageError(f"{name}: no weight file and no known name{hint} (see: medsr models, medsr weights list)")
    return by_name[name]


def locate(name: str | Path) -> Path:
    """A file's path, or the verified file of a known name.

    Raises UsageError for an unknown name, WeightsError when the file is not there or is not what it should be.
    """
    path = expanded(name)
    bundled = entries().get(str(name))
    if bundled is not None and bundled.suits:  # whatever lies in the working folder under that name
        verify(bundled)
        return bundled.path
    is_file = os.path.isfile(path)  # False for too long a name, too
    if is_file and path.name.endswith((".param", ".whl", ".tar.gz")):
        raise WeightsError(f"{path}: is to be converted first; run: medsr weights import {path}")
    if is_file:
        try:
            with path.open("rb") as stream:
                stream.read(1)
        except OSError as error:
            raise WeightsError(f"{path}: cannot be read: {error.strerror or error}") from error
        return path
    if path.suffix in (".pth", ".safetensors", ".pt"):
        raise WeightsError(f"{path}: no such weight file")
    entry = get(str(name))
    verify(entry)
    return entry.path


def verify(entry: WeightEntry) -> None:
    """Check that the file is there and is what its entry says. Raises WeightsError."""
    if not entry.path.is_file():
        how = f"fetch it (medsr weights fetch {entry.name}) or " if entry.url else ""
        origin = f" from {entry.url}" if entry.url else ""
        raise WeightsError(
            f"{entry.name}: {entry.file} is not on this machine; {how}bring the file{origin} and run: "
            f"medsr weights import {entry.file}"
        )
    check(entry, entry.path)


def check(entry: WeightEntry, path: Path) -> None:
    """Raise WeightsError where the file is not what the entry says."""
    size = path.stat().st_size
    if entry.size is not None and size != entry.size:
        raise WeightsError(
            f"{path}: {size} bytes, {entry.name} has {entry.size}; delete it and bring or fetch it again"
        )
    if entry.sha256 is not None:
        digest = sha256(path)
        if not digest.startswith(entry.sha256):
            raise WeightsError(
                f"{path}: sha256 {digest} is not that of {entry.name} ({entry.sha256}); it will not be used"
            )
