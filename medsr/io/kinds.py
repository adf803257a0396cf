"""Kinds of image files: by name, by first bytes, and which of them lie in a folder."""

from __future__ import annotations

import re
import struct
from pathlib import Path, PurePosixPath

from medsr.core.errors import InputError
from medsr.io import listing
from medsr.io.files import check_regular
from medsr.io.images.base import DICOM, JPEG, PNG, TIFF

SUFFIXES = {
    ".png": PNG,
    ".jpg": JPEG,
    ".jpeg": JPEG,
    ".jpe": JPEG,
    ".jfif": JPEG,
    ".tif": TIFF,
    ".tiff": TIFF,
    ".ppm": "PPM",
    ".pgm": "PPM",
    ".pnm": "PPM",
    ".bmp": "BMP",
    ".dib": "BMP",
    ".gif": "GIF",
    ".webp": "WebP",
    ".dcm": DICOM,
}
"""Of every file that is read, by its name: the kind it claims to be."""
WRITABLE = frozenset({".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".tif", ".tiff", ".dcm"})
UNREAD = {
    ".jp2": "JPEG 2000",
    ".j2k": "JPEG 2000",
    ".j2c": "JPEG 2000",
    ".jpf": "JPEG 2000",
    ".jpx": "JPEG 2000",
    ".jls": "JPEG-LS",
    ".jxl": "JPEG XL",
    ".jxr": "JPEG XR",
    ".heic": "HEIF",
    ".heif": "HEIF",
    ".avif": "AVIF",
    ".pbm": "1-bit Netpbm",
    ".pam": "PAM",
    ".pfm": "PFM",
    ".exr": "OpenEXR",
    ".hdr": "Radiance HDR",
    ".psd": "Photoshop",
    ".tga": "TGA",
    ".svs": "whole-slide",
    ".ndpi": "whole-slide",
    ".svg": "SVG",
    ".pdf": "PDF",
    ".raw": "raw",
    ".dng": "camera raw",
    ".nef": "camera raw",
    ".cr2": "camera raw",
    ".arw": "camera raw",
}
"""Pictures that are not read: where they lie beside others, they are named as left out."""
HEAD = 352
"""Bytes that say what a file is."""
_FIRST_VRS = (b"UL", b"OB", b"UI", b"CS", b"SH", b"DA", b"TM", b"LO", b"DT", b"US")
"""Of elements that a data set may begin with."""
NAMED_ONLY = {".gif": "GIF images are read only where the file itself is named: in data sets they are masks"}
"""Of what is read, what a search of a folder leaves out, and why."""
_TEXT = re.compile(rb"[ -~]+\0?")
_HEADS = (
    (re.compile(rb"\x89PNG\r\n\x1a\n"), PNG),
    (re.compile(rb"P[1-6][\s#]"), PNG),
    (re.compile(rb"BM"), PNG),
    (re.compile(rb"GIF8[79]a"), PNG),
    (re.compile(rb"RIFF....WEBP", re.DOTALL), PNG),
    (re.compile(rb"\xff\xd8\xff"), JPEG),
    (re.compile(rb"II[*+]\0|MM\0[*+]"), TIFF),
)


def detect_file_type(path: Path) -> str | None:
    """The format by the first bytes: PNG (also for what becomes PNG), JPEG, TIFF, DICOM or None."""
    try:
        check_regular(path)
        with path.open("rb") as stream:
            return kind_of(stream.read(HEAD))
    except (OSError, InputError):
        return None


def kind_of(head: bytes) -> str | None:
    """As `detect_file_type`, of a file that begins with these bytes (`HEAD` of them are enough)."""
    if begins_as_dicom(head):  # first: its 128 free bytes may look like another format
        return DICOM
    return next((kind for pattern, kind in _HEADS if pattern.match(head)), None)


def begins_as_dicom(head: bytes) -> bool:
    """Whether bytes begin as DICOM does: by the preamble, or without one by an element of group 2 or 8.

    Such an element has a small number, then either letters (its value representation) or a short length and a text.
    """
    if head[128:132] == b"DICM":
        return True
    for order in ("<", ">"):
        if len(head) >= 16:
            group, element, length = struct.unpack(f"{order}HHI", head[:8])
            explicit = head[4:6] in _FIRST_VRS
            text = element > 1 and 0 < length <= 64 and length % 2 == 0 and _TEXT.fullmatch(head[8 : 8 + length])
            implicit = order == "<" and (text or (element <= 1 and length == 4))
            if group in (2, 8) and element <= 0x80 and (explicit or implicit):
                return True
    return False


def is_image(path: Path) -> bool:
    """Whether a file of a folder is an image by its name, or a DICOM file by its content."""
    return path.suffix.lower() in SUFFIXES.keys() - NAMED_ONLY.keys() or is_dicom(path)


def is_dicom(path: Path) -> bool:
    """Whether the file begins as DICOM files do."""
    return detect_file_type(path) == DICOM


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
    """Why a file with a suffix of `UNREAD` or `NAMED_ONLY` is left out, naming it."""
    suffix = path.suffix.lower()
    if suffix in NAMED_ONLY:
        return f"{path}: {NAMED_ONLY[suffix]}"
    return f"{path}: {UNREAD[suffix]} images are not read; convert it to PNG or TIFF"


def matches(relative: Path, pattern: str) -> bool:
    """Whether a path below a folder matches a pattern of names or places; upper and lower case are one."""
    wanted = pattern.lower()
    while wanted.startswith("**/"):
        wanted = wanted[3:]
    return PurePosixPath(relative.as_posix().lower()).match(wanted)
