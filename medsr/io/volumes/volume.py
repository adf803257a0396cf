"""Volumes: NIfTI, Analyze, MGH, NRRD, MetaImage and DICOM series; read to a `Volume`, write one back."""

from __future__ import annotations

import tempfile
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np

from medsr.core import platform
from medsr.core.errors import InputError, MedsrError, MemoryExhaustedError, UsageError
from medsr.core.references import resolve
from medsr.core.text import reason
from medsr.io import files
from medsr.io.metadata import describing_volume
from medsr.io.volumes.base import (
    DICOM,
    NO_CHOICE,
    GeometryChoice,
    Volume,
    check_dtype,
    check_finite,
    check_shape,
    plain,
)
from medsr.io.volumes.formats import HEADERS, SUFFIXES, UNREAD, WRITABLE, VolumeFormat
from medsr.io.volumes.volume_files import digest, split_suffix

__all__ = ["GeometryChoice", "Volume", "read", "write"]


def read(path: Path, series: str | None = None, choice: GeometryChoice = NO_CHOICE) -> Volume:
    """Read a volume file, a folder of DICOM slices, or a zip of one. `series`: the UID of the DICOM series to read.

    `choice`: what the user says where the header contradicts itself or says nothing.

    Raises InputError naming the file when it is missing, damaged, or no volume of plain finite numbers.
    """
    from medsr.io.volumes import bids, wrapped
    from medsr.io.volumes.dicom import series as dicom_series

    if not path.exists():
        raise InputError(f"{path}: no such file or folder")
    files.check_regular(path)
    suffix = split_suffix(path)[1].lower()
    try:
        if path.is_dir():
            volume = dicom_series.read(path, series)
        else:
            with wrapped.named_by_content(path, suffix, tuple(SUFFIXES)) as (link, link_suffix):
                volume = _read_file(link, SUFFIXES.get(link_suffix), series, choice)
            if link.name != path.name and not zipfile.is_zipfile(path):
                volume = replace(volume, notes=(*volume.notes, f"{volume.kind} by its content, unlike its name"))
        if volume.kind == DICOM and choice != NO_CHOICE:
            unused = "`affine` and `input_spacing` are not used: DICOM states where every slice is"
            volume = replace(volume, notes=(*volume.notes, unused))
        check_shape(volume.stored.shape, str(path))
        check_dtype(volume.stored.dtype, str(path))
        volume.grid.check(str(path))
        check_finite(volume.stored, str(path))
        if volume.kind != DICOM:
            volume = bids.described(volume, path, split_suffix(path)[0])
    except MedsrError:
        raise
    except MemoryError as error:
        raise MemoryExhaustedError(f"{path}: more than the free memory holds") from error
    except Exception as error:  # the readers raise whatever they like on damaged files
        raise InputError(f"{path}: damaged or not a readable volume ({_reason(error, path)})") from error
    return volume


def _read_file(path: Path, entry: VolumeFormat | None, series: str | None, choice: GeometryChoice) -> Volume:
    from medsr.io.volumes.dicom import series as dicom_series

    if entry is None:
        if unread := UNREAD.get(path.suffix.lower()):
            raise InputError(f"{path}: {unread} is not handled; convert it to NIfTI")
        return dicom_series.read(path, series)
    if series is not None:
        raise UsageError(f"`series` is for DICOM; {path} is {entry.name}")
    if not path.stat().st_size:
        raise InputError(f"{path}: the file is empty")
    return entry.read(path, choice)


def write(path: Path, volume: Volume, keep_metadata: bool = False) -> str:
    """Write `volume` whole or not at all, in the format `path`'s suffix names; header and data files together.

    `keep_metadata`: also the texts of the header it was read with, which may name a person or a place.
    Returns the `digest` of what was written, taken before it is in its place.
    Raises UsageError where that format cannot hold it.
    """
    entry = WRITABLE.get(split_suffix(path)[1].lower())
    if entry is None:
        raise UsageError(f"{path}: medsr writes {', '.join(WRITABLE)}")
    ready = volume if keep_metadata else describing_volume(volume)
    if not entry.scaling:
        ready = plain(ready, path, entry.dtypes)
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with tempfile.TemporaryDirectory(prefix=".medsr-", dir=path.parent) as folder:
            entry.write(Path(folder) / path.name, ready)
            written = digest(Path(folder))
            move_into(Path(folder), path.parent)
    except OSError as error:
        raise OSError(error.errno, error.strerror or str(error), str(path)) from error
    except RuntimeError as error:  # SimpleITK's only type
        raise OSError(None, _reason(error, path), str(path)) from error
    return written


def check_writable(path: Path, volume: Volume) -> None:
    """Raise UsageError or OSError now for what `write` would refuse after hours of work."""
    entry = WRITABLE.get(split_suffix(path)[1].lower())
    if entry is not None and entry.check:
        resolve(entry.check)(path, volume)
    if entry is not None and not entry.scaling:
        plain(replace(volume, stored=np.empty(0, volume.stored.dtype)), path, entry.dtypes)
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        tempfile.TemporaryFile(dir=path.parent).close()
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path.parent)) from error


def move_into(folder: Path, destination: Path) -> None:
    """Flush every file of `folder` to disk, then rename all into `destination`, headers last."""
    files = sorted(folder.iterdir(), key=lambda file: (file.name.lower().endswith(HEADERS), file.name))
    for file in files:
        with file.open("r+b") as written:
            platform.sync(written.fileno())
    for file in files:
        platform.rename(file, destination / file.name)
    platform.sync_folder(destination)


def _reason(error: Exception, path: Path) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return reason(Exception(lines[-1]), path) if lines else type(error).__name__
