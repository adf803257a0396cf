"""A folder or file of the other kind: what is said of it, so that the command that takes it can be named after."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from medsr.io.kinds import is_dicom, is_image, list_images
from medsr.io.listing import files_below
from medsr.io.volumes.volume_files import is_volume

SCANS = "holds scans, not images; for scans: "
IMAGES = "holds images, not scans; for images: "


def holds_only_scans(folder: Path) -> bool:
    """Whether files of volumes lie below a folder, and no image."""
    return folder.is_dir() and any(map(is_volume, files_below(folder))) and not list_images(folder)


def holds_images(folder: Path) -> bool:
    """Whether images lie below a folder. Asked where no scan was found there."""
    return folder.is_dir() and bool(list_images(folder))


def all_scans(files: Sequence[Path]) -> bool:
    """Whether files, named one by one, are all of volumes, by their names."""
    return bool(files) and all(is_volume(path) and not is_image(path) for path in files)


def all_images(files: Sequence[Path]) -> bool:
    """Whether files, named one by one, are all images and not slices in DICOM."""
    return bool(files) and all(is_image(path) and not is_dicom(path) for path in files)
