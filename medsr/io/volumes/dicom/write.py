"""A refined DICOM series written as DICOM: a derived series of the same study and patient."""

from __future__ import annotations

import copy
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medsr.core import platform
from medsr.core.errors import UsageError
from medsr.core.geometry import LPS
from medsr.core.intensity import bit_range
from medsr.core.version import __version__
from medsr.io.dicom.derived import forget_stale, name_series, note_derivation, rewriting, save_derived
from medsr.io.dicom.uids import uid_of
from medsr.io.volumes.base import DICOM, Volume


def write_series(folder: Path, volume: Volume, what: str) -> None:
    """Write one file a slice into the new folder `folder`, which appears whole or not at all.

    Every slice takes the header of the acquired slice nearest to it, of a series of volumes that of its own volume, so
    that times, echoes and b-values stay with their images. Slices are numbered volume by volume. SOP instance and
    series UIDs of their own, the same whenever the same result is made of the same slices. The derivation is noted,
    private tags (which may describe the old geometry) are removed, pixels uncompressed.
    Raises UsageError for a scan that was not read from a series of single frames with one rescale, or when `folder` is
    already there.
    """
    check(folder, volume)
    folder.parent.mkdir(parents=True, exist_ok=True)
    uid = _series_uid(volume, what)
    with tempfile.TemporaryDirectory(prefix=".medsr-", dir=folder.parent) as temporary:
        series = Path(temporary) / folder.name
        series.mkdir()
        for number, (part, index) in enumerate(np.ndindex(volume.volumes, volume.stored.shape[2]), 1):
            path = series / f"{number:04d}.dcm"
            with rewriting(folder):
                dataset, pixels = _slice(volume, part, index, uid, what)
            save_derived(path, dataset, pixels)
            with path.open("r+b") as written:
                platform.sync(written.fileno())
        platform.rename(series, folder)
    platform.sync_folder(folder.parent)


def check(folder: Path, volume: Volume) -> None:
    """Raise UsageError for what `write_series` cannot write."""
    if volume.kind != DICOM:
        raise UsageError(f"`dicom`: the scan is {volume.kind}; only DICOM can be written as DICOM")
    if any(int(frame.dataset.get("NumberOfFrames") or 1) > 1 for frame in volume.extra):
        raise UsageError("`dicom`: the scan is a multi-frame file; leave `dicom` out and get NIfTI")
    if volume.stored.dtype.kind not in "iu":
        raise UsageError("`dicom`: the slices have different rescale slopes; leave `dicom` out and get NIfTI")
    if folder.exists():
        raise UsageError(f"{folder}: is already there; DICOM series are written into a new folder")


def _series_uid(volume: Volume, what: str) -> str:
    sources = [str(frame.dataset.get("SOPInstanceUID") or "") for frame in volume.extra]
    return uid_of(what, __version__, *sources, np.asarray(volume.affine), *np.moveaxis(volume.stored, 2, 0))


def _slice(volume: Volume, part: int, index: int, uid: str, what: str) -> tuple[Any, NDArray]:
    """The data set of slice `index` of volume `part`, both counted from 0, and its pixels."""
    from pydicom.valuerep import DSfloat

    affine = LPS @ volume.affine
    position = affine @ [0, 0, index, 1]
    count, slices = len(volume.extra) // volume.volumes, volume.stored.shape[2]
    frames = volume.extra[part * count : (part + 1) * count]
    source = min(frames, key=lambda frame: float(np.linalg.norm(_centre(frame) - _middle(volume, index))))
    dataset = copy.deepcopy(source.dataset)
    dataset.remove_private_tags()
    forget_stale(dataset)
    normal = np.cross(source.cosines[:3], source.cosines[3:])
    steps = np.sqrt((affine[:3, :3] ** 2).sum(axis=0))
    between = float(abs(normal @ affine[:3, 2]))
    dataset.Rows, dataset.Columns = volume.stored.shape[1], volume.stored.shape[0]
    dataset.PixelSpacing = [DSfloat(float(step), auto_format=True) for step in (steps[1], steps[0])]
    dataset.ImagePositionPatient = [DSfloat(float(value), auto_format=True) for value in position[:3]]
    dataset.SpacingBetweenSlices = DSfloat(between, auto_format=True)
    dataset.SliceThickness = DSfloat(volume.thickness or between, auto_format=True)
    dataset.SliceLocation = DSfloat(float(normal @ position[:3]), auto_format=True)
    dataset.InstanceNumber = part * slices + index + 1
    _count_anew(dataset, slices)
    name_series(dataset, source.dataset, uid)
    note_derivation(dataset, source.dataset, what)
    low, high = bit_range(int(dataset.BitsStored), bool(dataset.PixelRepresentation))
    pixels = volume.stored[:, :, index] if volume.stored.ndim == 3 else volume.stored[:, :, index, part]
    return dataset, np.clip(pixels.T, low, high).astype(volume.stored.dtype)


def _count_anew(dataset: Any, slices: int) -> None:
    """What counts the slices of the series: there are others now."""
    if "ImageIndex" in dataset:  # of positron emission, where it must be there
        dataset.ImageIndex = dataset.InstanceNumber
    if "NumberOfSlices" in dataset:
        dataset.NumberOfSlices = slices
    if "ImagesInAcquisition" in dataset:
        del dataset.ImagesInAcquisition


def _centre(frame: Any) -> np.ndarray:
    half = (int(frame.dataset.Columns) - 1) / 2 * frame.spacing[1], (int(frame.dataset.Rows) - 1) / 2 * frame.spacing[0]
    centre: np.ndarray = frame.position + frame.cosines[:3] * half[0] + frame.cosines[3:] * half[1]
    return centre


def _middle(volume: Volume, index: int) -> np.ndarray:
    i, j = ((length - 1) / 2 for length in volume.stored.shape[:2])
    middle: np.ndarray = (LPS @ volume.affine @ [i, j, index, 1])[:3]
    return middle
