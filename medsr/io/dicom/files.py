"""The files that DICOM comes in: alone, in a folder, in a zip or packed one by one; known by their first bytes."""

from __future__ import annotations

import io
import re
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import IO, Any

from medsr.core.errors import InputError
from medsr.core.text import reason
from medsr.io import expansion
from medsr.io.dicom import reader
from medsr.io.dicom.signature import HEAD, begins_as_dicom
from medsr.io.listing import files_below

Open = Callable[[], IO[bytes]]
_SUFFIX = re.compile(r"(\.(dcm|nii|hdr|img|nrrd|nhdr|mha|mhd|mgh|mgz|raw|zip))?(\.(gz|bz2|xz|zst))?$", re.IGNORECASE)
_numbered: ContextVar[bool] = ContextVar("numbered", default=False)


@contextmanager
def numbered_members() -> Iterator[None]:
    """Within it a zip's files are called `file_3.dcm`, by their order: for messages that name nobody."""
    before = _numbered.set(True)
    try:
        yield
    finally:
        _numbered.reset(before)


def sources(path: Path) -> Iterator[tuple[str, Open, bytes]]:
    """Every file at `path` that may be DICOM: its name, how to open it, its first bytes. A DICOMDIR is none of them.

    `path`: a file, a folder (those below it too), a zip. Raises InputError for a zip that is damaged, encrypted, or
    would fill the memory.
    """
    if path.is_dir():
        for file in sorted(files_below(path)):
            if file.name.upper() != "DICOMDIR":
                yield _file(file)
    elif zipfile.is_zipfile(path):
        yield from _members(path)
    elif path.suffix.lower() == ".zip":
        raise InputError(f"{path}: truncated, or not a zip file")
    else:
        yield _file(path)


def header(name: str, opener: Open, head: bytes, tags: list[str] | None = None) -> Any:
    """The data set before its pixels (or only those `tags`), None for what is not DICOM.

    Files need no preamble: some programs write none. Raises InputError for a damaged file.
    """
    from pydicom.errors import InvalidDicomError

    if not begins_as_dicom(head) and not (name.lower().endswith(".dcm") and any(head[:8])):
        return None
    try:
        with opener() as stream:
            return reader.dataset_of(stream, name, False, tags)
    except InvalidDicomError:
        return None
    except InputError:
        raise
    except Exception as error:  # a damaged slice must not pass for a missing one
        raise InputError(f"{name}: damaged DICOM file ({reason(error)})") from error


def is_image(dataset: Any) -> bool:
    """Whether a data set holds a picture: no report, no list of files, no presentation state."""
    return all(tag in dataset for tag in ("Rows", "Columns", "SOPClassUID"))


def unpacked_head(head: bytes) -> bytes:
    """The first bytes of what a file holds, where it is gzip; `head` itself otherwise."""
    if not head.startswith(expansion.GZIP):
        return head
    try:
        return zlib.decompressobj(wbits=31).decompress(head, len(head))
    except zlib.error:
        return head


def _file(path: Path) -> tuple[str, Open, bytes]:
    with path.open("rb") as stream:
        packed = stream.read(HEAD)
    head = unpacked_head(packed)
    if head is not packed and begins_as_dicom(head):
        return path.name, lambda: path.open("rb"), head
    return path.name, lambda: path.open("rb"), packed


def _members(path: Path) -> Iterator[tuple[str, Open, bytes]]:
    """A zip's files, unpacked in memory one at a time."""
    archive = expansion.open_zip(path)  # kept open for what `Open` reads later: its list of members may be long
    for member in members(path):
        name = Path(member.filename).name
        if name.upper() != "DICOMDIR":
            with archive.open(member) as stream:
                head = stream.read(HEAD)
            yield name, lambda member=member: io.BytesIO(_unpack(archive, member)), head  # type: ignore[misc]


def members(path: Path) -> list[zipfile.ZipInfo]:
    """A zip's files by name, those that a Mac adds and hidden ones left out. Raises InputError as `sources`."""
    with expansion.open_zip(path) as archive:
        packed = [member for member in archive.infolist() if not member.is_dir()]
    whole, size = sum(member.file_size for member in packed), sum(member.compress_size for member in packed)
    expansion.check(whole, min(size, path.stat().st_size), str(path))  # members may share their bytes
    if any(member.flag_bits & 1 for member in packed):
        raise InputError(f"{path}: the zip is encrypted; unpack it first")
    shown = (member for member in packed if "__MACOSX" not in member.filename and Path(member.filename).name[:1] != ".")
    ordered = sorted(shown, key=lambda member: member.filename)
    return _renamed(ordered) if _numbered.get() else ordered


def _renamed(ordered: list[zipfile.ZipInfo]) -> list[zipfile.ZipInfo]:
    """The members by number. What means something in a name stays: known suffixes, DICOMDIR, and which make a pair."""
    numbers: dict[str, str] = {}
    for member in ordered:
        name = member.filename
        if Path(name).name.upper() == "DICOMDIR":
            member.filename = "DICOMDIR"
            continue
        suffix = _SUFFIX.search(name)[0]  # type: ignore[index]
        number = numbers.setdefault(name.removesuffix(suffix).lower(), f"{len(numbers) + 1:0{len(str(len(ordered)))}}")
        member.filename = f"file_{number}{suffix}"  # `open` goes by `orig_filename`
    return ordered


def _unpack(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> bytes:
    return archive.read(member)
