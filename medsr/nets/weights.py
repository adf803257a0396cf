"""Weight files by name: those that come with medsr, those fetched, those brought by hand. None used unverified."""

from __future__ import annotations

import difflib
import json
import re
import shutil
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin, urlparse

import yaml

from medsr.errors import UsageError, WeightsError
from medsr.io.files import atomic_path, sha256, write_text
from medsr.resources import home, resource_dir

if TYPE_CHECKING:
    from filelock import FileLock

BASELINES = ("bicubic", "lanczos", "cubic")
RESERVED = (*BASELINES, "scratch", "auto")
ATTEMPTS, WAIT, TIMEOUT = 3, 1.0, 60.0
"""Of a download: how often it is tried, and seconds before the second try and without any answer."""
USER_LICENCE = "the user's own"


@dataclass(frozen=True)
class Entry:
    """One weight file. `sha256` may be a prefix where the publisher states no more; None where nothing is known yet.

    Only models that come with medsr have the last three: `onnx_sha256`, of the same weights as ONNX beside it; `suits`,
    what they are for (fundus, chest, mri); `style`, faithful or sharp.
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
    suits: str | None = None
    style: str | None = None
    recorded: bool = False

    @property
    def path(self) -> Path:
        """Where the file is, or would be: beside the manifest for those that come with medsr, else in the cache."""
        shipped = resource_dir("pretrained") / self.file
        return shipped if self.url is None and shipped.is_file() else home() / "weights" / self.file


def entries() -> dict[str, Entry]:
    """Every weight file known by name: the manifest's and the user's own, with hashes recorded on first download."""
    manifest = yaml.safe_load((resource_dir("pretrained") / "manifest.yml").read_text(encoding="utf-8"))
    known = {one["name"]: Entry(**one) for one in manifest["weights"]}
    records = _records()
    for name, one in records["own"].items():
        known.setdefault(name, Entry(**one))
    for name, recorded in records["hashes"].items():
        if name in known and known[name].sha256 is None:
            known[name] = replace(known[name], sha256=recorded, recorded=True)
    return known


def get(name: str) -> Entry:
    """The entry of that name. Raises UsageError with the nearest name."""
    known = entries()
    if name not in known:
        close = difflib.get_close_matches(name, [*known, *BASELINES], 1, 0.4)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        raise UsageError(f"{name}: no weight file and no known name{hint} (see: medsr weights list)")
    return known[name]


def locate(name: str | Path) -> Path:
    """A file's path, or the verified file of a known name.

    Raises UsageError for an unknown name, WeightsError when the file is not there or is not what it should be.
    """
    path = Path(name).expanduser()
    bundled = entries().get(str(name))
    if bundled is not None and bundled.suits:  # whatever lies in the working folder under that name
        verify(bundled)
        return bundled.path
    if path.is_file():
        return path
    if path.suffix in (".pth", ".safetensors", ".pt"):
        raise WeightsError(f"{path}: no such weight file")
    entry = get(str(name))
    verify(entry)
    return entry.path


def verify(entry: Entry) -> None:
    """Check that the file is there and is what its entry says. Raises WeightsError."""
    if not entry.path.is_file():
        how = f"fetch it (medsr weights fetch {entry.name}) or " if entry.url else ""
        origin = f" from {entry.url}" if entry.url else ""
        raise WeightsError(
            f"{entry.name}: {entry.file} is not on this machine; {how}bring the file{origin} and run: "
            f"medsr weights import {entry.file}"
        )
    _check(entry, entry.path)


def fetch(name: str, mirror: str | None = None, show_progress: bool = False) -> Path:
    """Download a weight file into the cache, checked before it is put in place.

    `mirror`: a folder URL holding the files under their own names, for networks without the outside world.
    Where the manifest states no hash, that of the first download is recorded and demanded ever after.
    Raises WeightsError when it cannot be had or is not what was expected.
    """
    entry = get(name)
    if entry.url is None:
        verify(entry)
        return entry.path
    if entry.path.is_file():
        verify(entry)
        return entry.path
    url = f"{mirror.rstrip('/')}/{entry.file}" if mirror else entry.url
    _refuse_plain(url, name)
    with atomic_path(entry.path) as temporary:
        try:
            _download(url, temporary, show_progress)
        except Exception as error:  # requests' many connection errors, and pooch's own
            reason = " ".join(str(error).split())[:160]
            raise WeightsError(
                f"{name}: cannot be downloaded from {url} ({reason}); "
                f"bring the file and run: medsr weights import {entry.file}"
            ) from error
        _check(entry, temporary)
    _record_hash(entry)
    return entry.path


def _refuse_plain(url: str, name: str) -> None:
    """Raise WeightsError for an address anybody on the way could answer for; this machine itself may be plain."""

    parts = urlparse(url)
    here = parts.scheme == "http" and parts.hostname in ("127.0.0.1", "::1", "localhost")
    if parts.scheme != "https" and not here:
        raise WeightsError(
            f"{name}: {url} is not https; give an https address, or bring the file: medsr weights import"
        )


def _download(url: str, path: Path, show_progress: bool) -> None:
    """Fetch into `path`, again where the connection breaks; redirects must be https too."""
    import pooch
    import requests

    def check(response: requests.Response, **_: object) -> None:
        if response.is_redirect:
            _refuse_plain(urljoin(response.url, response.headers["location"]), "redirected")

    fetch = pooch.HTTPDownloader(progressbar=show_progress, hooks={"response": check}, timeout=TIMEOUT)
    for attempt in range(ATTEMPTS):
        try:
            fetch(url, str(path), None)
            return
        except requests.HTTPError:
            raise  # the server answered: asking again changes nothing
        except requests.RequestException:
            if attempt + 1 == ATTEMPTS:
                raise
            time.sleep(WAIT * 2**attempt)


def bring(file: Path, name: str | None = None) -> Entry:
    """Take a file brought by hand into the cache.

    Without `name` it must be one of the manifest's files, by its content where the hash is known. With a `name` not
    in the manifest it becomes the user's own, held to its hash from now on. Raises WeightsError or UsageError.
    """
    if not file.is_file():
        raise WeightsError(f"{file}: no such file")
    known = entries()
    if name is not None and (name not in known or known[name].licence == USER_LICENCE):
        return _bring_own(file, name)
    entry = known[name] if name is not None else _recognise(file, known)
    _check(entry, file)
    with atomic_path(entry.path) as temporary:
        shutil.copyfile(file, temporary)
    _record_hash(entry)
    return get(entry.name)


def _bring_own(file: Path, name: str) -> Entry:
    from medsr.nets import checkpoint

    if name in RESERVED or not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name):
        raise UsageError(f"{name}: not a free name of letters, digits, '.', '_' and '-'")
    _, spec = checkpoint.load(file)
    stored = f"{name}{file.suffix}"
    origin = f"imported from {file.name}"
    entry = Entry(
        name,
        stored,
        "generator",
        spec.architecture,
        spec.scale,
        USER_LICENCE,
        origin,
        None,
        sha256(file),
        file.stat().st_size,
    )
    with atomic_path(entry.path) as temporary:
        shutil.copyfile(file, temporary)
    fields = ("name", "file", "role", "architecture", "scale", "licence", "source", "sha256", "size")
    with _records_held():
        records = _records()
        records["own"][name] = {key: getattr(entry, key) for key in fields}
        _write_records(records)
    return entry


def _recognise(file: Path, known: dict[str, Entry]) -> Entry:
    digest = sha256(file)
    for entry in known.values():
        if entry.sha256 and digest.startswith(entry.sha256):
            return entry
    for entry in known.values():
        if entry.file == file.name:
            return entry
    raise WeightsError(
        f"{file}: is none of the files in the manifest (sha256 {digest[:16]}...); to use it as your own: "
        f"medsr weights import {file} --name NAME"
    )


def _check(entry: Entry, path: Path) -> None:
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


def _record_hash(entry: Entry) -> None:
    if entry.sha256 is not None and len(entry.sha256) == 64:
        return
    with _records_held():
        records = _records()
        records["hashes"].setdefault(entry.name, sha256(entry.path))
        _write_records(records)


def _records_held() -> FileLock:
    """Two processes that fetch at once must not lose each other's record."""
    from filelock import FileLock

    _records_file().parent.mkdir(parents=True, exist_ok=True)
    return FileLock(_records_file().with_suffix(".lock"), timeout=60)


def _records_file() -> Path:
    return home() / "weights" / "recorded.json"


def _records() -> dict[str, dict[str, Any]]:
    file = _records_file()
    if not file.is_file():
        return {"hashes": {}, "own": {}}
    try:
        records: dict[str, dict[str, Any]] = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise WeightsError(f"{file}: damaged; delete it and import or fetch the weights again") from error
    return records


def _write_records(records: dict[str, dict[str, Any]]) -> None:
    write_text(_records_file(), json.dumps(records, indent=1, sort_keys=True) + "\n")
