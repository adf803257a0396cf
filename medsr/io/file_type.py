"""What a file of unknown origin holds, by its bytes alone: its name may claim anything."""

from __future__ import annotations

import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from medsr.core.errors import InputError
from medsr.core.references import resolve
from medsr.io.dicom.files import unpacked_head
from medsr.io.dicom.signature import begins_as_dicom
from medsr.io.images import formats as image_formats
from medsr.io.images.base import DICOM
from medsr.io.kinds import detect_file_type
from medsr.io.volumes import formats as volume_formats
from medsr.io.volumes.formats import VolumeFormat

HEAD = 65536
"""Bytes of a header that are looked at."""
_IMAGES = image_formats.listed([entry.name for entry in image_formats.WRITTEN], "or")
_VOLUMES = ", ".join(entry.name for entry in volume_formats.RECOGNISED)
READS = f"{_IMAGES} images; {_VOLUMES} or zipped DICOM slices as scans"
_GZIP = b"\x1f\x8b"


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
    image = detect_file_type(path)
    if image is not None and image.name == DICOM:
        return Content("volume" if _is_stack(path) else "image", image.suffix)
    volume, packed = _volume(head)
    if volume is not None:
        _check_whole(volume, path)
        return Content("volume", _called(volume, packed))
    if zipfile.is_zipfile(path) and head.startswith(b"PK"):
        return Content("volume", ".zip")
    if image is not None:
        return Content("image", image.suffix)
    raise InputError(f"{path}: none of what medsr reads ({READS})")


def scan_suffix(path: Path) -> str | None:
    """What a scan with this content is called (.nii, .nii.gz, .mgh, .mgz, .nrrd, .mha, .dcm, .zip); None for no scan.

    Headers whose voxels lie in another file are called as whole files of their format, DICOM packed by gzip as .dcm.
    """
    with path.open("rb") as stream:
        head = stream.read(HEAD)
    if begins_as_dicom(unpacked_head(head)):
        return ".dcm"
    if head.startswith(b"PK") and zipfile.is_zipfile(path):
        return ".zip"
    volume, packed = _volume(head)
    return None if volume is None else _called(volume, packed)


def is_gzip(path: Path) -> bool:
    """Whether the whole file is packed by gzip."""
    with path.open("rb") as stream:
        return stream.read(2) == _GZIP


def check_attached(path: Path) -> None:
    """Raise InputError for the header of a volume whose voxels lie in another file."""
    with path.open("rb") as stream:
        volume, _ = _volume(stream.read(HEAD))
    if volume is not None:
        _check_whole(volume, path)


def _volume(head: bytes) -> tuple[VolumeFormat | None, bool]:
    """The format of a volume that begins so, and whether gzip packed it."""
    packed = head.startswith(_GZIP)
    if packed:
        try:
            head = zlib.decompressobj(wbits=31).decompress(head, HEAD)
        except zlib.error:
            return None, packed
    return volume_formats.format_of(head), packed


def _called(volume: VolumeFormat, packed: bool) -> str:
    return (packed and volume.packed) or volume.suffix


def _check_whole(volume: VolumeFormat, path: Path) -> None:
    if volume.whole:
        resolve(volume.whole)(path)


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
