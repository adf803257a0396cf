"""Headers whose voxels lie in another file: which files belong together, and headers refused without their voxels."""

from __future__ import annotations

import mmap
import re
from pathlib import Path

from medsr.core.errors import InputError

DATA_SUFFIXES = (".raw", ".zraw", ".raw.gz")
"""Of what is written beside a header."""
DATA_KEYS = ("elementdatafile", "data file", "datafile")
HEAD = 65536


def pair_files(path: Path, written: bool) -> list[Path]:
    """Header and data of an Analyze or NIfTI pair, whichever of them `path` names."""
    lower = path.name.lower()
    packed = ".gz" if lower.endswith(".gz") else ""
    stem = path.name[: -len(f".hdr{packed}")]
    return [path.with_name(f"{stem}{part}{packed}") for part in (".hdr", ".img")]


def nrrd_files(path: Path, written: bool) -> list[Path]:
    """An NRRD and the data that its header names; with `written`, whatever may be written for it."""
    return _header_and_data(path, written, ".nhdr", ":")


def metaimage_files(path: Path, written: bool) -> list[Path]:
    """As `nrrd_files`, of a MetaImage."""
    return _header_and_data(path, written, ".mhd", "=")


def check_nrrd(path: Path) -> None:
    """The header ends with an empty line; nothing in it may name a file, however its lines end."""
    with path.open("rb") as stream:
        head = stream.read(HEAD)
    header, end, _ = re.sub(rb"\r\n", b"\n", head).partition(b"\n\n")
    lines = re.split(rb"[\r\n]+", header)
    if not end or any(re.match(rb"\s*data\s*file", line, re.IGNORECASE) for line in lines):
        raise InputError("an NRRD header without its voxels; give one .nrrd that holds both")


def check_metaimage(path: Path) -> None:
    """The whole file names its data once, and then as following.

    ITK skips lines it cannot make sense of and reads on, into the voxels: whichever mention it came upon must be this.
    """
    with path.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as content:
        mentions = [match.start() for match in re.finditer(rb"(?i)ElementDataFile", content)]
        whole = re.search(rb"\nElementDataFile[ \t]*=[ \t]*LOCAL[ \t]*\r?\n", content)
    if whole is None or mentions != [whole.start() + 1]:
        raise InputError("a MetaImage header without its voxels; give one .mha that holds both")


def _header_and_data(path: Path, written: bool, header: str, separator: str) -> list[Path]:
    if not path.name.lower().endswith(header):
        return [path]
    if written:
        return [path, *(path.with_name(path.name[: -len(header)] + suffix) for suffix in DATA_SUFFIXES)]
    data = _data_file(path, separator)
    return [path, data] if data else [path]


def _data_file(path: Path, separator: str) -> Path | None:
    """The data file a detached header names."""
    if not path.is_file():
        return None
    for line in path.read_text("utf-8", errors="surrogateescape").split("\n"):
        key, _, value = line.partition(separator)
        if key.strip().lower() in DATA_KEYS:
            named = path.parent / value.strip()
            return named if named.is_file() else None
    return None
