"""Looking at every image once: its hashes, its size, what it looks like, and whose it is."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from medsr.batch.outcome import as_error
from medsr.core.errors import InputError
from medsr.core.resample import resize
from medsr.data.cards import IMAGE
from medsr.io.files import sha256
from medsr.io.images import image as image_io
from medsr.io.images.base import DICOM
from medsr.io.volumes import volume as volume_io
from medsr.io.volumes import volume_files

if TYPE_CHECKING:
    from pydantic import TypeAdapter

THUMBNAIL = 32
SIZE = r"[1-9][0-9]{0,8}(x[1-9][0-9]{0,8}){1,3}"
"""What a manifest says of it: width x height, of volumes voxels."""
PLAIN = 0.02
"""Of full range: an image that varies less is like every other that is as empty."""


@dataclass(frozen=True)
class Inspection:
    """What one item is. `error`: why it cannot be used; then the rest is empty.

    `hashes`: SHA-256 of its files by role. `pixels`: hash of the decoded image. `size`: "width x height" without
    spaces. `thumbnail`: 32 x 32 grey values less their mean, signed 8 bits, in hexadecimal; empty where there is hardly
    anything to see. `dicom`: its header may say whose it is.
    """

    hashes: dict[str, str]
    pixels: str = ""
    size: str = ""
    thumbnail: str = ""
    dicom: bool = False
    error: str = ""


def from_record(record: object, roles: Collection[str]) -> Inspection | None:
    """The inspection of an item with files of these roles, as it was written down; None where that is damaged."""
    try:
        inspection = _adapter().validate_python(record)
    except ValueError:
        return None
    hashes = (*inspection.hashes.values(), inspection.pixels)
    read = inspection.hashes.keys() == set(roles) and all(re.fullmatch("[0-9a-f]{64}", digest) for digest in hashes)
    sized = re.fullmatch(SIZE, inspection.size)
    drawn = not inspection.thumbnail or re.fullmatch(f"[0-9a-f]{{{2 * THUMBNAIL**2}}}", inspection.thumbnail)
    return inspection if inspection.error or (read and sized and drawn) else None


@lru_cache(1)
def _adapter() -> TypeAdapter[Inspection]:
    from pydantic import TypeAdapter

    return TypeAdapter(Inspection)


def inspect_item(files: dict[str, list[Path]], kind: str, bits: int | None = None) -> Inspection:
    """Read one item: the files that claim each of its roles. Never raises for a bad file; says so in the inspection.

    `bits`: of 16-bit images that do not declare how many they hold.
    """
    try:
        hashes = {role: _hash_of(claims) for role, claims in files.items()}
        path = files[IMAGE][0]
        return _volume(path, hashes) if kind == "volumes" else _image(path, hashes, bits)
    except OSError as error:
        return Inspection({}, error=f"{error.filename or files[IMAGE][0]}: cannot be read: {error.strerror or error}")
    except Exception as error:
        return Inspection({}, error=str(as_error(error, files[IMAGE][0])))


def _hash_of(claims: list[Path]) -> str:
    """Files of one name may lie there twice (unpacked, and in the archive) as long as they are the same."""
    hashes = {sha256(path): path for path in reversed(claims)}
    if len(hashes) > 1:
        second, first = list(hashes.values())[:2]
        if first.name != second.name:
            raise InputError(f"{first} and {second}: the card's pattern cannot tell them apart; say {{id}} in it")
        raise InputError(f"{first} and {second} have one name and different content; remove the wrong one")
    return next(iter(hashes))


def _image(path: Path, hashes: dict[str, str], bits: int | None) -> Inspection:
    image = image_io.read_as_shown(path, bits)
    height, width = image.pixels.shape[:2]
    unit = image.to_unit().mean(axis=2, keepdims=True)
    digest = hashlib.sha256(f"{image.pixels.shape}{image.pixels.dtype}{image.window}".encode())
    digest.update(np.ascontiguousarray(image.pixels).data)
    return Inspection(hashes, digest.hexdigest(), f"{width}x{height}", _thumbnail(unit), image.kind == DICOM)


def _thumbnail(unit: NDArray[np.float32]) -> str:
    small = resize(unit, (THUMBNAIL, THUMBNAIL), "bicubic").astype(np.float64)
    small -= small.mean()
    spread = float(np.abs(small).max())
    return np.rint(small / spread * 127).astype(np.int8).tobytes().hex() if spread > PLAIN else ""


def _volume(path: Path, hashes: dict[str, str]) -> Inspection:
    if len(volume_files.files_of(path)) > 1:
        raise InputError(f"{path}: header and data are apart; convert it to .nii.gz first")
    volume = volume_io.read(path)
    digest = hashlib.sha256(f"{volume.stored.shape}{volume.stored.dtype}".encode())
    digest.update(np.ascontiguousarray(volume.stored).data)
    return Inspection(hashes, digest.hexdigest(), "x".join(map(str, volume.stored.shape)))
