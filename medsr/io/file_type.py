"""What a file of unknown origin holds, by its bytes alone: its name may claim anything."""

from __future__ import annotations

import mmap
import re
import struct
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from medsr.core.errors import InputError
from medsr.io.dicom.files import unpacked_head
from medsr.io.images import image as image_io
from medsr.io.kinds import begins_as_dicom

HEAD = 65536
"""Bytes of a header that are looked at."""
READS = "PNG, JPEG, TIFF or DICOM images; NIfTI, NRRD, MetaImage, MGH or zipped DICOM slices as scans"
_GZIP = b"\x1f\x8b"
_IMAGES = {image_io.PNG: ".png", image_io.JPEG: ".jpg", image_io.TIFF: ".tif", image_io.DICOM: ".dcm"}


@dataclass(frozen=True)
class Content:
    """`suffix`: what a file with this content is called, so that every reader takes it for what it is."""

    kind: Literal["image", "volume"]
    suffix: str


def content_of(path: Path) -> Content:
    """What the one file at `path` holds.

    Raises InputError for anything else than one image or one scan, and for a header whose voxels are in another file:
    a header from elsewhere must not name files of this machine.
    """
    with path.open("rb") as stream:
        head = stream.read(HEAD)
    kind = image_io.detect_file_type(path)
    if kind == image_io.DICOM:
        return Content("volume" if _is_stack(path) else "image", ".dcm")
    if (suffix := _volume(head)) is not None:
        _refuse_detached(path, suffix, head)
        return Content("volume", suffix)
    if zipfile.is_zipfile(path) and head.startswith(b"PK"):
        return Content("volume", ".zip")
    if kind is not None:
        return Content("image", _plain(head) or _IMAGES[kind])
    raise InputError(f"{path}: none of what medsr reads ({READS})")


def _plain(head: bytes) -> str | None:
    """Formats that Pillow reads and medsr writes as PNG."""
    if head.startswith((b"P5", b"P6")):
        return ".ppm"
    return ".bmp" if head.startswith(b"BM") else None


def scan_suffix(path: Path) -> str | None:
    """What a scan with this content is called (.nii, .nii.gz, .mgh, .mgz, .nrrd, .mha, .dcm, .zip); None for no scan.

    Headers whose voxels lie in another file count as .nrrd and .mha, DICOM packed by gzip as .dcm.
    """
    with path.open("rb") as stream:
        head = stream.read(HEAD)
    if begins_as_dicom(unpacked_head(head)):
        return ".dcm"
    if head.startswith(b"PK") and zipfile.is_zipfile(path):
        return ".zip"
    return _volume(head)


def is_gzip(path: Path) -> bool:
    """Whether the whole file is packed by gzip."""
    with path.open("rb") as stream:
        return stream.read(2) == _GZIP


def check_attached(path: Path) -> None:
    """Raise InputError for the header of an NRRD or MetaImage whose voxels lie in another file."""
    with path.open("rb") as stream:
        head = stream.read(HEAD)
    _refuse_detached(path, _volume(head), head)


def _volume(head: bytes) -> str | None:
    packed = head.startswith(_GZIP)
    if packed:
        try:
            head = zlib.decompressobj(wbits=31).decompress(head, HEAD)
        except zlib.error:
            return None
    if is_nifti(head):
        return ".nii.gz" if packed else ".nii"
    if is_mgh(head):
        return ".mgz" if packed else ".mgh"
    if head.startswith(b"NRRD000"):
        return ".nrrd"
    if re.match(rb"\s*(ObjectType|NDims|Comment)\s*[=:]", head):
        return ".mha"
    return None


def _refuse_detached(path: Path, suffix: str | None, head: bytes) -> None:
    if suffix == ".nrrd":
        _refuse_detached_nrrd(head)
    elif suffix == ".mha":
        _refuse_detached_metaimage(path)


def _refuse_detached_nrrd(head: bytes) -> None:
    """The header ends with an empty line; nothing in it may name a file, however its lines end."""
    header, end, _ = re.sub(rb"\r\n", b"\n", head).partition(b"\n\n")
    lines = re.split(rb"[\r\n]+", header)
    if not end or any(re.match(rb"\s*data\s*file", line, re.IGNORECASE) for line in lines):
        raise InputError("an NRRD header without its voxels; give one .nrrd that holds both")


def _refuse_detached_metaimage(path: Path) -> None:
    """The whole file names its data once, and then as following.

    ITK skips lines it cannot make sense of and reads on, into the voxels: whichever mention it came upon must be this.
    """
    with path.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as content:
        mentions = [match.start() for match in re.finditer(rb"(?i)ElementDataFile", content)]
        whole = re.search(rb"\nElementDataFile[ \t]*=[ \t]*LOCAL[ \t]*\r?\n", content)
    if whole is None or mentions != [whole.start() + 1]:
        raise InputError("a MetaImage header without its voxels; give one .mha that holds both")


def is_nifti(head: bytes) -> bool:
    """Whether these bytes begin a NIfTI file that holds header and voxels."""
    return head[344:348] == b"n+1\0" or head[4:12] == b"n+2\0\r\n\x1a\n"


def is_mgh(head: bytes) -> bool:
    """Version 1, big-endian, three axes and frames above 0, one of the four types."""
    if len(head) < 284:
        return False
    version, *shape, dtype = struct.unpack(">6i", head[:24])
    return version == 1 and all(0 < n < 1 << 16 for n in shape) and dtype in (0, 1, 3, 4)


def _is_stack(path: Path) -> bool:
    """Whether a DICOM file holds slices. Colour frames are pictures: the reader of images says what to do with them."""
    from medsr.io.dicom.reader import dataset_of

    try:
        with path.open("rb") as stream:
            dataset = dataset_of(stream, path.name, False, ["NumberOfFrames", "SamplesPerPixel"])
        return int(dataset.get("NumberOfFrames") or 1) > 1 and int(dataset.get("SamplesPerPixel") or 1) == 1
    except InputError:
        raise
    except Exception as error:  # pydicom raises whatever it likes on damaged files
        raise InputError(f"{path}: damaged DICOM file") from error
