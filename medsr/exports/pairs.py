"""Ground truth and low resolution from a folder: what int8 is calibrated and measured on."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from medsr.errors import InputError, MedsrError
from medsr.io import image as image_io
from medsr.io.volume import is_volume
from medsr.recipe import Protocol
from medsr.train import validate
from medsr.train.validate import HeldOut

MOST, SIDE = 16, 512
"""Files that are used, and the side of the middle of an image that is."""


def pairs_in(folder: Path, scale: int, channels: int, volumes: bool) -> tuple[list[HeldOut], list[HeldOut]]:
    """Pairs to calibrate on, and pairs of other files to measure on, from the images or volumes below a folder.

    Files that cannot be read are passed over. Raises InputError where fewer than two are left.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder")
    paths = volume_paths(folder) if volumes else image_io.list_images(folder)
    read: Callable[[Path], list[HeldOut]] = _slices if volumes else partial(_image, scale=scale, channels=channels)
    found: list[list[HeldOut]] = []
    for path in paths[:: max(1, len(paths) // MOST)]:
        try:
            found.append(read(path))
        except (MedsrError, ValueError):
            continue
        if len(found) == MOST:
            break
    if len(found) < 2:
        what = "volumes" if volumes else "images"
        raise InputError(f"{folder}: {len(found)} {what} that can be used; at least two are needed, better twenty")
    return [one for pairs in found[::2] for one in pairs], [one for pairs in found[1::2] for one in pairs]


def _image(path: Path, scale: int, channels: int) -> list[HeldOut]:
    unit = image_io.read(path).to_unit()
    if min(unit.shape[:2]) < 32 * scale:
        raise InputError(f"{path}: too small")
    top, left = (max(0, (length - SIDE) // 2) for length in unit.shape[:2])
    middle = unit[top : top + SIDE, left : left + SIDE]
    return [validate.one_image(path, middle, scale, channels, Protocol().blur_sigma)]


def _slices(path: Path) -> list[HeldOut]:
    return validate.slices_of(path, Protocol().factors)[::4]


def volume_paths(folder: Path) -> list[Path]:
    """The volume files below a folder."""
    return [path for path in sorted(folder.rglob("*")) if path.is_file() and is_volume(path)]
