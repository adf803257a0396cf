"""The registry of image formats: one entry says everything about a format. Imports nothing heavy.

To add one, write its functions in a module of this folder and add an entry here. How files are found and known, what
they are read and written by, what names results get, what is refused and what messages list: all of it reads the entry.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from medsr.core.references import resolve
from medsr.io.dicom.signature import begins_as_dicom

if TYPE_CHECKING:
    from medsr.io.images.base import Image

Head = Callable[[bytes], object]
"""A question to the first 352 bytes of a file; true or false."""
UNSIGNED = ("uint8", "uint16")


@dataclass(frozen=True)
class ImageFormat:
    """A format of image files. `reader`, `writer` and `frames_reader` are functions as "module:function"."""

    name: str
    suffixes: tuple[str, ...]
    """In lower case; the first is the usual one."""
    recognised: Head
    """Whether a file with these first bytes has this format."""
    reader: str
    """(path) to an `Image` whose `kind` is `result`."""
    writer: str = ""
    """(path, image); empty where results become PNG."""
    frames_reader: str = ""
    """(path, frames) to an `Image` or `Frames`; empty where a file holds one picture."""
    dtypes: tuple[str, ...] = UNSIGNED
    """What a written file can store."""
    alpha: bool = True
    """Whether a written file can hold transparency."""
    orientation: Literal["exif", "tag", ""] = ""
    """How a written file says that programs shall turn the picture; empty where it cannot."""
    own_only: bool = False
    """Whether only what was read from this format can be written in it."""
    largest_side: int | None = None
    """Pixels in a row or column that the format, or the library that writes it, can hold."""
    largest_bytes: int | None = None
    """Bytes of uncompressed pixels in one file."""
    open_depth: Head = lambda head: False
    """Whether such a file may hold 16-bit values of which it does not say how many bits mean something."""
    known_by_name: bool = False
    """Whether the suffix alone is believed, for files without their first bytes."""
    not_in_folders: str = ""
    """Why a search of a folder leaves it out; empty where it does not."""
    loses: str = ""
    """What of the header never goes along into a result. docs/images.md says the same."""

    @property
    def suffix(self) -> str:
        """What a file of this format is called."""
        return self.suffixes[0]

    @property
    def result(self) -> str:
        """The name of the format that results have."""
        return self.name if self.writer else "PNG"

    def read(self, path: Path) -> Image:
        """The one picture of a file; the reader raises what it likes on damaged ones."""
        image: Image = resolve(self.reader)(path)
        return image

    def read_frames(self, path: Path, frames: str | None) -> Any:
        """The `Image` or the chosen `Frames`."""
        return resolve(self.frames_reader)(path, frames)

    def write(self, path: Path, image: Image) -> None:
        """Write a file of this format, whatever the name."""
        resolve(self.writer)(path, image)


FORMATS = (
    ImageFormat(
        "PNG",
        (".png",),
        re.compile(rb"\x89PNG\r\n\x1a\n").match,
        "medsr.io.images.png:read_png",
        "medsr.io.images.png:write_png",
        orientation="exif",
        largest_side=(1 << 31) - 1,
        open_depth=lambda head: head[24:25] == b"\x10",
        loses="texts, XMP, comments, time",
    ),
    ImageFormat(
        "JPEG",
        (".jpg", ".jpeg", ".jpe", ".jfif"),
        re.compile(rb"\xff\xd8\xff").match,
        "medsr.io.images.jpeg:read",
        "medsr.io.images.jpeg:write",
        dtypes=("uint8",),
        alpha=False,
        orientation="exif",
        largest_side=65500,
        loses="XMP, IPTC, comments",
    ),
    ImageFormat(
        "TIFF",
        (".tif", ".tiff"),
        re.compile(rb"II[*+]\0|MM\0[*+]").match,
        "medsr.io.images.tiff:read",
        "medsr.io.images.tiff:write",
        orientation="tag",
        open_depth=lambda head: True,
        loses="every other tag: description, author, software, EXIF, GPS, XMP",
    ),
    ImageFormat(
        "DICOM",
        (".dcm",),
        begins_as_dicom,
        "medsr.io.images.dicom_image:read",
        "medsr.io.images.dicom_image:write",
        frames_reader="medsr.io.images.dicom_image:read_frames",
        dtypes=("uint8", "int8", "uint16", "int16"),
        alpha=False,
        own_only=True,
        largest_side=65535,
        largest_bytes=(1 << 32) - 2,
        open_depth=lambda head: True,
        known_by_name=True,  # some are written without the preamble
    ),
    ImageFormat("PPM", (".ppm", ".pgm", ".pnm"), re.compile(rb"P[1-6][\s#]").match, "medsr.io.images.netpbm:read"),
    ImageFormat("BMP", (".bmp", ".dib"), re.compile(rb"BM").match, "medsr.io.images.png:read_plain"),
    ImageFormat(
        "GIF",
        (".gif",),
        re.compile(rb"GIF8[79]a").match,
        "medsr.io.images.png:read_plain",
        not_in_folders="GIF images are read only where the file itself is named: in data sets they are masks",
    ),
    ImageFormat("WebP", (".webp",), re.compile(rb"RIFF....WEBP", re.DOTALL).match, "medsr.io.images.png:read_plain"),
)
BY_NAME = {entry.name: entry for entry in FORMATS}
SUFFIXES = {suffix: entry for entry in FORMATS for suffix in entry.suffixes}
"""Of every file that is read, by its name: the format it claims to have."""
WRITTEN = tuple(entry for entry in FORMATS if entry.writer)
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
# DICOM first: its 128 free bytes may look like another format
_BY_CONTENT = sorted(FORMATS, key=lambda entry: entry.name != "DICOM")


def format_of(head: bytes) -> ImageFormat | None:
    """The format of a file that begins with these bytes; `signature.HEAD` of them are enough."""
    return next((entry for entry in _BY_CONTENT if entry.recognised(head)), None)


def listed(names: list[str], last: str) -> str:
    """Names in a row: `A, B or C`, where `last` is `or`."""
    return f" {last} ".join(filter(None, [", ".join(names[:-1]), names[-1]]))
