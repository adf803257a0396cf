"""Scans that their readers would not know by name: called something else, or the one volume in a zip."""

from __future__ import annotations

import os
import shutil
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from medsr.core.errors import InputError, MedsrError
from medsr.core.text import reason
from medsr.io import expansion, file_type
from medsr.io.dicom import files
from medsr.io.dicom.signature import begins_as_dicom
from medsr.io.files import link_or_copy
from medsr.io.volumes.formats import HEADER_OF, HEADERS, RECOGNISED

ZIP, DICOM = ".zip", ".dcm"
DETACHED = (*HEADERS, *HEADER_OF)
"""Of files that go with another: those are found by name."""
WITH_HEADERS = tuple(entry.suffix for entry in RECOGNISED if entry.headers)
"""What content is called that a header without voxels may begin with, too."""
UNPACKED = tuple(entry.suffix for entry in RECOGNISED if not entry.packed)
"""Of formats that pack their voxels themselves, if at all."""
FAMILIES = tuple(entry.suffixes for entry in RECOGNISED)
"""Suffixes of one reader each: it sees itself whether a file is packed."""
PACKED = {
    b"BZh": "bzip2; unpack it by bunzip2",
    b"\xfd7zXZ\0": "xz; unpack it by unxz",
    b"\x28\xb5\x2f\xfd": "zstd; unpack it by unzstd",
    b"7z\xbc\xaf\x27\x1c": "7-Zip; unpack it",
    b"Rar!": "RAR; unpack it",
}
"""How files begin that other programs packed, and what to do."""
BLOCK = 1 << 22


@contextmanager
def named_by_content(path: Path, suffix: str, suffixes: tuple[str, ...]) -> Iterator[tuple[Path, str]]:
    """The scan at `path` (a file named with `suffix`) under a name that its reader takes, and that name's suffix.

    `suffixes`: those of volumes. Errors that are raised within name `path`. Raises InputError for a zip that holds no
    scan or several, and for what other programs packed.
    """
    content = _content(path, suffix)
    if content == DICOM or content is None:
        if content is None:
            _refuse_packed(path)
        yield path, content or suffix
    elif content == ZIP:
        volumes, slices = in_zip(path, suffixes)
        if not volumes:
            if not slices and (inner := zips_in(path)):
                raise InputError(f"{path}: holds another zip ({inner[0]}); unpack it first")
            yield path, DICOM
        elif slices or len(volumes) > 1:
            several = ", ".join([*(member.filename for member in volumes[:3]), *(["DICOM slices"] if slices else [])])
            raise InputError(f"{path}: holds several scans ({several}); unpack it, and name the one you mean")
        else:
            with _elsewhere(path) as folder:
                inner_path = folder / Path(volumes[0].filename).name
                for member in _with_data(path, volumes[0]):
                    _unpack(path, member, folder / Path(member.filename).name)
                if file_type.scan_suffix(inner_path) in UNPACKED:
                    _check_whole(inner_path)  # a header out of a zip must not name files of this machine
                with named_by_content(inner_path, _suffix(inner_path, suffixes), suffixes) as inside:
                    if inside[1] in (DICOM, ZIP):
                        raise InputError(f"{path}: {volumes[0].filename} is not a volume file; unpack the zip first")
                    yield inside
    elif not (content in UNPACKED and file_type.is_gzip(path)) and (
        content == suffix or any(content in family and suffix in family for family in FAMILIES)
    ):
        yield path, suffix
    else:
        if content in UNPACKED:
            _check_whole(path)
        with _elsewhere(path) as folder:
            called = folder / f"scan{content}"
            link_or_copy(called, path)
            yield called, content


def in_zip(path: Path, suffixes: tuple[str, ...]) -> tuple[list[zipfile.ZipInfo], bool]:
    """The volume files in a zip, and whether it holds DICOM. Raises InputError as `dicom_files.members`."""
    volumes, slices = [], False
    members = files.members(path)
    names = {member.filename.lower() for member in members}
    with expansion.open_zip(path) as archive:
        for member in members:
            suffix = _suffix(Path(member.filename), suffixes)
            if suffix in HEADER_OF and member.filename.lower().removesuffix(suffix) + HEADER_OF[suffix] in names:
                continue
            with archive.open(member) as stream:
                is_dicom = begins_as_dicom(stream.read(file_type.HEAD))
            slices |= is_dicom or member.filename.lower().endswith(DICOM)
            volumes += [member] if suffix and not is_dicom else []
    return volumes, slices


def zips_in(path: Path) -> list[str]:
    """Zips within a zip: they are not opened."""
    return [member.filename for member in files.members(path) if member.filename.lower().endswith(ZIP)]


def is_packed_scan(path: Path, suffixes: tuple[str, ...]) -> bool:
    """Whether the name is a scan's that another program packed: `scan.nii.bz2`."""
    return path.suffix.lower() in (".bz2", ".xz", ".zst", ".gz") and bool(
        _suffix(path.with_suffix(""), (*suffixes, DICOM))
    )


def _content(path: Path, suffix: str) -> str | None:
    """`suffix` where the content cannot say better."""
    if suffix in HEADER_OF and path.with_name(path.name[: -len(suffix)] + HEADER_OF[suffix]).exists():
        return suffix
    content = file_type.scan_suffix(path)
    return suffix if suffix in DETACHED and content in (None, *WITH_HEADERS) else content


def _refuse_packed(path: Path) -> None:
    with path.open("rb") as stream:
        head = stream.read(8)
    for begin, what in PACKED.items():
        if head.startswith(begin):
            raise InputError(f"{path}: packed by {what} first")


def _check_whole(path: Path) -> None:
    """Raise InputError for an NRRD or MetaImage that gzip packed, or that does not hold its voxels itself."""
    if file_type.is_gzip(path):
        raise InputError(f"{path}: packed by gzip; unpack it by gunzip first")
    try:
        file_type.check_attached(path)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def _with_data(path: Path, volume: zipfile.ZipInfo) -> list[zipfile.ZipInfo]:
    """The member that is the volume, and of an Analyze or NIfTI pair the one that holds its voxels."""
    name = volume.filename.lower()
    pairs = [name.removesuffix(header) + data for data, header in HEADER_OF.items() if name.endswith(header)]
    return [volume, *(member for member in files.members(path) if member.filename.lower() in pairs)]


def _unpack(path: Path, member: zipfile.ZipInfo, target: Path) -> None:
    """No more than the zip says it holds; `members` has refused what is out of all proportion."""
    free = shutil.disk_usage(target.parent).free
    if member.file_size > 0.9 * free:
        raise InputError(f"{path}: {member.filename} takes {member.file_size >> 20} MB, {free >> 20} MB are free")
    left = member.file_size
    with expansion.open_zip(path) as archive, archive.open(member) as source, target.open("wb") as sink:
        while left > 0 and (block := source.read(min(BLOCK, left))):
            sink.write(block)
            left -= len(block)


@contextmanager
def _elsewhere(path: Path) -> Iterator[Path]:
    """A folder that is gone afterwards; no error names it."""
    with tempfile.TemporaryDirectory(prefix="medsr-", ignore_cleanup_errors=True) as name:
        try:
            yield Path(name)
        except MemoryError:
            raise
        except Exception as error:  # the readers raise whatever they like on damaged files
            message = " ".join(str(error).split()) or type(error).__name__
            for hidden_path in sorted(_files(name), key=len, reverse=True):
                message = message.replace(hidden_path, str(path))
            if isinstance(error, MedsrError):
                raise type(error)(message) from error
            raise InputError(
                f"{path}: damaged or not a readable volume ({reason(Exception(message), path)})"
            ) from error


def _files(folder: str) -> list[str]:
    with suppress(OSError):
        return [*(os.path.join(folder, name) for name in os.listdir(folder)), folder]
    return [folder]


def _suffix(path: Path, suffixes: tuple[str, ...]) -> str:
    lower = path.name.lower()
    return next(
        (suffix for suffix in sorted(suffixes, key=len, reverse=True) if lower.endswith(suffix) and lower != suffix), ""
    )
