"""The files a volume is stored in: their names, their hashes, and whether medsr wrote them."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path

from medsr.core.references import resolve
from medsr.io.files import sha256
from medsr.io.listing import files_below
from medsr.io.volumes.formats import HEADER_OF, SUFFIXES

OURS = '"tool": "medsr"'
"""What a sidecar of ours holds."""
_ARCHIVE = ".zip"


def split_suffix(path: Path) -> tuple[str, str]:
    """`scan.nii.gz` to (`scan`, `.nii.gz`); the suffix is empty where it is none of a volume's."""
    lower = path.name.lower()
    for suffix in sorted([*SUFFIXES, _ARCHIVE, ".dcm"], key=len, reverse=True):
        if lower.endswith(suffix) and len(lower) > len(suffix):
            return path.name[: -len(suffix)], path.name[-len(suffix) :]
    return path.name, ""


def is_volume(path: Path) -> bool:
    """Whether the name is that of a volume file; of a header and its data, the header's."""
    stem, suffix = split_suffix(path)
    header = HEADER_OF.get(suffix.lower())
    doubled = header is not None and path.with_name(stem + header).exists()
    return suffix.lower() in SUFFIXES and not path.name.startswith(".") and not doubled


def is_result(file: Path) -> bool:
    """Whether medsr made it, or the folder of slices: a sidecar of ours stands beside it."""
    stem = split_suffix(file)[0]
    stems = {stem, *(stem.removesuffix(ending) for ending in ("_uncertainty", "_coverage"))}
    sidecars = (file.with_name(f"{name}.json") for name in stems)
    return any(os.path.isfile(sidecar) and OURS in sidecar.read_text("utf-8", errors="replace") for sidecar in sidecars)


def digest(path: Path) -> str:
    """SHA-256 of a file; of a folder or of header and data, that of their files' sorted hashes."""
    return digest_of(hashes(path))


def hashes(path: Path) -> dict[Path, str]:
    """SHA-256 of every file of a volume, or below a folder of slices."""
    every = files_below(path) if path.is_dir() else files_of(path)
    return {file: sha256(file) for file in every if file.is_file()}


def digest_of(hashes: Mapping[Path, str]) -> str:
    """One digest of the files' own: a single one's is its own."""
    if len(hashes) == 1:
        return next(iter(hashes.values()))
    return hashlib.sha256("".join(sorted(hashes.values())).encode()).hexdigest()


def files_of(path: Path) -> list[Path]:
    """The files a volume is stored in: header and data, where they are apart."""
    return _files(path, False)


def files_written(path: Path) -> list[Path]:
    """The files `write` may write for that name."""
    return _files(path, True)


def _files(path: Path, written: bool) -> list[Path]:
    entry = SUFFIXES.get(split_suffix(path)[1].lower())
    if entry is None or not entry.files:
        return [path]
    files: list[Path] = resolve(entry.files)(path, written)
    return files
