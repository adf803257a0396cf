"""Kinds of image files: by name, by first bytes, and which of them lie in a folder."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from medsr.core.errors import InputError
from medsr.io import listing
from medsr.io.dicom.signature import HEAD
from medsr.io.files import check_regular
from medsr.io.images.base import DICOM
from medsr.io.images.formats import SUFFIXES, UNREAD, ImageFormat, format_of


def detect_file_type(path: Path) -> ImageFormat | None:
    """The format by the first bytes; None for others, and for what cannot be read."""
    try:
        check_regular(path)
        with path.open("rb") as stream:
            return format_of(stream.read(HEAD))
    except (OSError, InputError):
        return None


def is_image(path: Path) -> bool:
    """Whether a file of a folder is an image by its name, or a DICOM file by its content."""
    claimed = SUFFIXES.get(path.suffix.lower())
    return (claimed is not None and not claimed.not_in_folders) or is_dicom(path)


def is_dicom(path: Path) -> bool:
    """Whether the file begins as DICOM files do."""
    detected = detect_file_type(path)
    return detected is not None and detected.name == DICOM


def list_images(folder: Path, pattern: str = "*") -> list[Path]:
    """The image files below `folder` that match `pattern`, sorted; DICOM files need no suffix.

    As `listing.files_below` finds them. Upper and lower case are one.
    """
    matching = (path for path in listing.files_below(folder) if matches(path.relative_to(folder), pattern))
    return sorted(filter(is_image, matching))


def left_out(folder: Path, pattern: str = "*") -> list[str]:
    """What of a folder no command reads as an image, a line each: kinds of files with their numbers, and what cannot
    be opened."""
    closed: list[Path] = []
    files = [path for path in listing.files_below(folder, closed=closed) if matches(path.relative_to(folder), pattern)]
    return [line for line in (listing.left_out(files, is_image, folder), listing.cannot_open(folder, closed)) if line]


def unread_reason(path: Path) -> str:
    """Why a file is left out that has a suffix of `UNREAD`, or of a format that is not looked for in folders."""
    suffix = path.suffix.lower()
    if suffix in SUFFIXES:
        return f"{path}: {SUFFIXES[suffix].not_in_folders}"
    return f"{path}: {UNREAD[suffix]} images are not read; convert it to PNG or TIFF"


def matches(relative: Path, pattern: str) -> bool:
    """Whether a path below a folder matches a pattern of names or places; upper and lower case are one."""
    wanted = pattern.lower()
    while wanted.startswith("**/"):
        wanted = wanted[3:]
    return PurePosixPath(relative.as_posix().lower()).match(wanted)
