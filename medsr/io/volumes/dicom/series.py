"""A DICOM series as a volume: every slice where its own position says, nothing about the geometry guessed."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from medsr.core.errors import InputError
from medsr.core.geometry import LPS
from medsr.io.dicom import files as dicom_files
from medsr.io.dicom import pixels as dicom_pixels
from medsr.io.dicom import reader
from medsr.io.images import dicom_image
from medsr.io.kinds import detect_file_type, is_dicom, list_images
from medsr.io.volumes.base import DICOM, Volume, check_memory
from medsr.io.volumes.dicom import content, copies, grids, mosaic, padding, series_list, stack, thickness, time, uniform
from medsr.io.volumes.dicom.frames import frames_of
from medsr.io.volumes.dicom.series_list import Header
from medsr.io.volumes.dicom.stack import Frame
from medsr.io.wrong_kind import IMAGES


def read(path: Path, series: str | None) -> Volume:
    """Read the one series in a folder, zip or multi-frame file, or the one that `series` names.

    `series`: as `series_list.choose_series` takes it: a UID or its end, a number of the list, part of a description.
    A series of several volumes is 4D; `UID:N` names one of several grids in a series.

    Raises ChoiceError when there are several and none is named; InputError for missing or doubled slices, slices
    without a position, colours.
    """
    files_by_uid, others = _headers(path)
    if not files_by_uid and not path.is_dir() and not others:
        raise InputError(f"{path}: {dicom_image.NO_FILE_SET}")
    if not files_by_uid and (picture := detect_file_type(path)) is not None and not is_dicom(path):
        raise InputError(f"{path}: a {picture.name} image, not a scan; for images: medsr upscale {path} --out FOLDER")
    if not files_by_uid and path.is_dir() and list_images(path):
        raise InputError(f"{path}: {IMAGES}medsr upscale {path} --out FOLDER")
    if not files_by_uid:
        raise InputError(f"{path}: no DICOM image there{f' among {len(others)} file(s)' if others else ''}")
    uid, number = grids.parse_series(series)
    files = files_by_uid[_choose(files_by_uid, uid, path)]
    frames = [frame for name, opener, dataset in files for frame in frames_of(name, opener, dataset)]
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
    thickness_mm, about_slices = thickness.of_frames(frames, affine)
    notes += about_slices
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
        thickness=thickness_mm,
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


def _headers(path: Path) -> tuple[dict[str, list[Header]], list[str]]:
    """The images of every series (by UID), and the names of files that are none."""
    files_by_uid: dict[str, list[Header]] = defaultdict(list)
    others = []
    for name, opener, head in dicom_files.sources(path):
        dataset = dicom_files.header(name, opener, head)
        if dataset is not None and dicom_files.is_image(dataset):
            files_by_uid[str(dataset.get("SeriesInstanceUID") or "")].append((name, opener, dataset))
        elif dataset is None or dicom_image.FILE_SET not in dataset:
            others.append(name)
    return files_by_uid, others


def _choose(files_by_uid: dict[str, list[Header]], series: str | None, path: Path) -> str:
    """The UID of the series to read."""
    if series in files_by_uid:
        return series
    if series is None and len(files_by_uid) == 1:
        return next(iter(files_by_uid))
    listing = series_list.of_headers(header for files in files_by_uid.values() for header in files)
    return series_list.match(listing, series, path).uid


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
