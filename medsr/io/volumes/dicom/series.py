"""A DICOM series as a volume: every slice where its own position says, nothing about the geometry guessed."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medsr.core.errors import InputError, UsageError
from medsr.core.geometry import LPS
from medsr.io.dicom import files as dicom_files
from medsr.io.dicom import pixels as dicom_pixels
from medsr.io.dicom import reader, refused
from medsr.io.dicom.terms import term
from medsr.io.images import dicom_image
from medsr.io.volumes.base import DICOM, Volume, check_memory
from medsr.io.volumes.dicom import content, copies, diffusion, dose, grids, mosaic, padding, stack, time, uniform
from medsr.io.volumes.dicom.stack import Frame, Open


def read(path: Path, series: str | None) -> Volume:
    """Read the one series in a folder, zip or multi-frame file, or the one whose UID is (or ends with) `series`.

    A series of several volumes is 4D; `UID:N` names one of several grids in a series.

    Raises UsageError when there are several and none is named; InputError for missing or doubled slices, slices
    without a position, colours.
    """
    files_by_uid, others = _headers(path)
    if not files_by_uid and not path.is_dir() and not others:
        raise InputError(f"{path}: {dicom_image.NO_FILE_SET}")
    if not files_by_uid:
        raise InputError(f"{path}: no DICOM image there{f' among {len(others)} file(s)' if others else ''}")
    uid, number = grids.parse_series(series)
    files = files_by_uid[_choose(files_by_uid, uid, path)]
    frames = [frame for name, opener, dataset in files for frame in _frames(name, opener, dataset)]
    left_out = f"{len(others)} file(s) that are not DICOM images left out: {uniform.named(others)}"
    notes = [left_out] if others else []
    frames = copies.drop_copies(frames, _decoded, notes)
    volumes, normal = grids.choose(grids.grids_of(frames, str(path)), number, path)
    count, frames = len(frames), [frame for volume in volumes for frame in volume]
    if rest := count - len(frames):
        notes.append(f"{rest} slice(s) of other acquisitions in the series left out, as asked")
    uniform.check(frames, str(path))
    first = frames[0].dataset
    shape = (int(first.Columns), int(first.Rows), len(frames))
    check_memory(shape, 4 if len(volumes) == 1 else 8, str(path))
    stored, slope, intercept = _pixels(frames, shape, notes)
    if len(volumes) == 1:
        frames, stored = stack.drop_duplicates(frames, stored, str(path), notes)
        empty = padding.mask_of(frames, stored)
        stored, affine, empty = stack.build_affine(frames, stored, normal, notes, empty)
    else:
        empty = padding.mask_of(frames, stored)
        stored, affine, empty = _series_of(volumes, stored, normal, notes, empty)
    burned = {dicom_image.burned_in(frame.dataset) for frame in frames} - {""}
    notes += sorted(burned)
    return Volume(
        stored,
        LPS @ affine,
        DICOM,
        slope,
        intercept,
        frames,
        dicom_image.modality_of(first),
        tuple(notes),
        time_step=time.time_step(volumes),
        wrapped=content.is_phase(frames),
        signed=content.is_signed(frames),
        elsewhere=content.elsewhere(first),
        background=empty,
    )


def _series_of(
    volumes: list[list[Frame]],
    stored: NDArray,
    normal: NDArray[np.float64],
    notes: list[str],
    empty: NDArray[np.bool_] | None,
) -> tuple[NDArray, NDArray[np.float64], NDArray[np.bool_] | None]:
    """(columns, rows, slices, volumes) of the pixels of all volumes, one after the other, their affine, their
    background."""
    count = len(volumes[0])
    parts, masks = [], []
    for n, volume in enumerate(volumes):
        part_index = (slice(None), slice(None), slice(n * count, (n + 1) * count))
        notes_of_part = notes if n == 0 else []
        mask = None if empty is None else empty[part_index]
        part, affine, mask = stack.build_affine(volume, stored[part_index], normal, notes_of_part, mask)
        parts.append(part)
        masks.append(mask)
    notes.append(f"{len(volumes)} volumes in one series, read as 4D in order of acquisition")
    every = None if empty is None else np.stack([mask for mask in masks if mask is not None], axis=3)
    return np.asfortranarray(np.stack(parts, axis=3)), affine, every


def listed(path: Path) -> dict[str, str]:
    """The series in a folder, zip or file: UID to what it is, in words without any name."""
    return {uid: _describe(files) for uid, files in sorted(_headers(path)[0].items())}


def _headers(path: Path) -> tuple[dict[str, list[tuple[str, Open, Any]]], list[str]]:
    """The images of every series (by UID), and the names of files that are none."""
    files_by_uid: dict[str, list[tuple[str, Open, Any]]] = defaultdict(list)
    others = []
    for name, opener, head in dicom_files.sources(path):
        dataset = dicom_files.header(name, opener, head)
        if dataset is not None and dicom_files.is_image(dataset):
            files_by_uid[str(dataset.get("SeriesInstanceUID", ""))].append((name, opener, dataset))
        elif dataset is None or dicom_image.FILE_SET not in dataset:
            others.append(name)
    return files_by_uid, others


def _choose(files_by_uid: dict[str, list], series: str | None, path: Path) -> str:
    """The UID of the series to read."""
    listed = "; ".join(f"{_shown_uid(uid)} ({_describe(files)})" for uid, files in sorted(files_by_uid.items()))
    if series is not None:
        matching = [series] if series in files_by_uid else [uid for uid in files_by_uid if uid.endswith(series)]
        if len(matching) != 1:
            raise UsageError(f"`series={series}`: {len(matching)} series match in {path}: {listed}")
        return matching[0]
    if len(files_by_uid) > 1:
        raise UsageError(f"{path}: holds {len(files_by_uid)} series; name one with `series=UID`: {listed}")
    return next(iter(files_by_uid))


def _shown_uid(uid: str) -> str:
    """A UID as a message has it; what is not one may be any text, a name too."""
    return uid if re.fullmatch("[0-9.]{1,64}", uid) else "(an invalid UID)"


def _describe(files: list) -> str:
    dataset = files[0][2]
    return (
        f"{dicom_image.modality_of(dataset) or '?'}, {len(files)} file(s), {term(dataset.Columns)}x{term(dataset.Rows)}"
    )


def _frames(name: str, opener: Open, dataset: Any) -> Iterator[Frame]:
    """The slices of one file, with geometry and rescale of each. Raises InputError where they have no place."""
    photometric = dicom_image.photometric_of(dataset)
    if int(dataset.get("SamplesPerPixel", 1)) != 1 or not photometric.startswith("MONOCHROME"):
        raise InputError(f"{name}: {photometric or 'colour'} pixels are not handled, only grey ones")
    if "HighBit" in dataset and int(dataset.HighBit) != int(dataset.BitsStored) - 1:  # decoders cut the wrong bits
        raise InputError(f"{name}: {dataset.BitsStored} bits stored up to bit {dataset.HighBit} are not handled")
    if dataset.SOPClassUID == dose.SOP_CLASS:
        yield from dose.frames_of(name, opener, dataset)
        return
    refused.check(dataset, name)
    diffusion.settle(dataset)
    for index in range(int(dataset.get("NumberOfFrames") or 1)):
        position = _tag(dataset, index, "PlanePositionSequence", "ImagePositionPatient")
        cosines = _tag(dataset, index, "PlaneOrientationSequence", "ImageOrientationPatient")
        spacing = _tag(dataset, index, "PixelMeasuresSequence", "PixelSpacing")
        if not position or not cosines or not spacing:
            missing = "ImagePositionPatient" if not position else "ImageOrientationPatient" if not cosines else ""
            raise InputError(f"{name}: has no {missing or 'PixelSpacing'}: where its voxels lie is not guessed")
        slope = _tag(dataset, index, "PixelValueTransformationSequence", "RescaleSlope")
        intercept = _tag(dataset, index, "PixelValueTransformationSequence", "RescaleIntercept")
        rescale = (float(1 if slope in (None, "") else slope), float(0 if intercept in (None, "") else intercept))
        if not rescale[0]:
            raise InputError(f"{name}: RescaleSlope is 0, so that all its voxels mean the same; mend the header")
        origin, directions = np.array(position, float), np.array(cosines, float)
        steps = (float(spacing[0]), float(spacing[1]))
        if origin.shape != (3,) or directions.shape != (6,) or not np.isfinite([*origin, *directions, *steps]).all():
            raise InputError(f"{name}: its position or orientation is damaged")
        if min(steps) <= 0:
            raise InputError(f"{name}: PixelSpacing {steps[0]:g} x {steps[1]:g}, expected mm above 0")
        if mosaic.is_mosaic(dataset):
            yield from mosaic.frames_of(name, opener, dataset, rescale)
            return
        yield Frame(name, opener, dataset, index, origin, directions, steps, rescale)


def _tag(dataset: Any, index: int, group: str, keyword: str) -> Any:
    """An attribute of a frame: from its own or the shared functional group, or from a classic single frame."""
    for sequence, item in (("PerFrameFunctionalGroupsSequence", index), ("SharedFunctionalGroupsSequence", 0)):
        groups = dataset.get(sequence)
        if groups and len(groups) > item and groups[item].get(group):
            value = groups[item].get(group)[0].get(keyword)
            if value is not None:
                return value
    return dataset.get(keyword)


def _decoded(frame: Frame) -> NDArray:
    """The pixels of all frames of its file."""
    with frame.open() as stream:
        dataset = reader.dataset_of(stream, frame.name)
    pixels = dicom_pixels.decode(dataset, frame.name)
    if mosaic.is_mosaic(dataset):
        return mosaic.split(pixels, frame.dataset.Rows, frame.dataset.Columns)
    return pixels


def _pixels(frames: list[Frame], shape: tuple[int, int, int], notes: list[str]) -> tuple[NDArray, float, float]:
    """(columns, rows, slices) stored values with one slope and intercept, or what they mean where those differ."""
    scales = {frame.rescale for frame in frames}
    differ = len(scales) > 1
    if differ:
        notes.append("the slices have different rescale slopes: their values were scaled to float32")
    stored: NDArray | None = None
    array, held = None, ""
    for k, frame in enumerate(frames):
        key = f"{id(frame.dataset)}"
        if key != held:
            array, held = _decoded(frame), key
        assert array is not None
        pixels = array[frame.index] if array.ndim == 3 else array
        if pixels.shape[::-1] != shape[:2]:
            raise InputError(
                f"{frame.name}: {pixels.shape[1]}x{pixels.shape[0]} pixels, the series {shape[0]}x{shape[1]}"
            )
        if differ:
            pixels = pixels.astype(np.float32) * np.float32(frame.rescale[0]) + np.float32(frame.rescale[1])
        if stored is None:
            stored = np.empty(shape, pixels.dtype, order="F")
        elif stored.dtype != pixels.dtype:
            raise InputError(f"{frame.name}: {pixels.dtype} pixels in a series of {stored.dtype}")
        stored[:, :, k] = pixels.T
    assert stored is not None
    slope, intercept = (1.0, 0.0) if differ else frames[0].rescale
    return stored, slope, intercept
