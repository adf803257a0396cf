"""What an upload is: read whole, so that what is damaged is refused now, and laid out for the page to show."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from medsr.commands.serve.quota import Quota
from medsr.commands.serve.responses import ImageFacts, SuggestedModel, VolumeFacts, VoxelGrid
from medsr.commands.serve.settings import Limits
from medsr.commands.serve.wording import page_words
from medsr.commands.upscale.models import DEFAULT_SCALE
from medsr.core import platform
from medsr.core.errors import InputError, MedsrError
from medsr.core.types import OnProgress
from medsr.io.dicom.coded import coded_words, pixel_words
from medsr.io.dicom.files import numbered_members
from medsr.io.display import of_image, of_volume
from medsr.io.file_type import Content, content_of
from medsr.io.images import image as image_io
from medsr.io.images.base import DICOM, Image
from medsr.io.volumes import volume as volume_io
from medsr.io.volumes.base import REPAIR, Volume
from medsr.networks.bundled import by_factor, for_image

PIXELS, NIFTI = "pixels.raw", "view.nii"
VIEW_FOLDER = "shown"
"""The folder beside an upload for what the page shows of it: no upload is called like a file in there."""
VIEWABLE = ("uint8", "int16", "int32", "float32", "float64", "uint16")
"""Types of voxels the page's viewer takes."""


@dataclass(frozen=True)
class SeriesChoices:
    """Several series, of which one must be named: each in words, nothing of the patient's in them."""

    series: tuple[str, ...]


@dataclass(frozen=True)
class InspectedUpload:
    """`path`: the upload under a name that says what it holds; `series`: the UID of the series that was chosen."""

    path: Path
    facts: ImageFacts | VolumeFacts
    series: str | None = None


def inspect_upload(
    upload: Path, stem: str, series: int | None, limits: Limits, on_progress: OnProgress
) -> InspectedUpload | SeriesChoices:
    """Read an upload, name it by its content, and write beside it what the page shows.

    `series`: which one, counted from 1, where a zip holds several. Raises InputError for what medsr does not read.
    """
    if not upload.exists():  # it was named by a try before this one, which was ended half way
        upload = next(path for path in upload.parent.glob(f"{stem}.*") if path.is_file())
    content = content_of(upload)
    path = upload.with_name(stem + content.suffix)
    platform.rename(upload, path)
    quota = Quota(upload.parent.parent, limits.stored)
    if content.kind == "image":
        return InspectedUpload(path, _image(path, limits.pixels, quota))
    with numbered_members():
        descriptions, uid = _series(path, content, series)
        if len(descriptions) > 1 and uid is None:
            return SeriesChoices(tuple(descriptions.values()))
        description = None if uid is None else descriptions[uid]
        return InspectedUpload(path, _volume(path, uid, description, limits.voxels, quota), uid)


def view_path(upload: Path, name: str) -> Path:
    """The file of this name beside an upload, from which the page shows it."""
    return upload.parent / VIEW_FOLDER / name


def _image(path: Path, limit: float, quota: Quota) -> ImageFacts:
    image = image_io.read(path)
    height, width, channels = image.pixels.shape
    if height * width > limit:
        raise InputError(f"{width} x {height} pixels; this server takes at most {limit / 1e6:g} megapixels")
    write_pixels(view_path(path, PIXELS), image, quota)
    display = of_image(image)
    chosen = for_image(image, DEFAULT_SCALE)
    return ImageFacts(
        format=image.kind,
        width=width,
        height=height,
        channels=channels,
        dtype=image.pixels.dtype.name,  # type: ignore[arg-type]
        low=image.window.low,
        high=image.window.high,
        inverted=image.window.inverted,
        show_low=display.low,
        show_high=display.high,
        unit=display.unit,
        slope=display.slope,
        intercept=display.intercept,
        header=_header_of_image(image),
        suggested=chosen.model,
        why=chosen.why,
        fits=chosen.fits,
        by_factor=[
            SuggestedModel(up_to=factor, model=choice.model, why=choice.why) for factor, choice in by_factor(image)
        ],
        notes=[page_words(image.note)] if image.note else [],
    )


def _header_of_image(image: Image) -> str:
    if image.kind != DICOM:
        return ""
    dataset = image.extra["dataset"]
    return ", ".join(filter(None, (coded_words(dataset), pixel_words(dataset))))


def write_pixels(path: Path, image: Image, quota: Quota) -> None:
    """The stored values as they are, little-endian. Raises BusyError where the quota has no room for them."""
    quota.check(image.pixels.nbytes)
    pixels = image.pixels.astype(image.pixels.dtype.newbyteorder("<"), copy=False)
    path.parent.mkdir(exist_ok=True)
    with path.open("wb") as stream:
        np.ascontiguousarray(pixels).tofile(stream)


def _series(path: Path, content: Content, series: int | None) -> tuple[dict[str, str], str | None]:
    """The series of a zip in words, by their UIDs, and the UID of that asked for. Raises InputError for no such one."""
    from medsr.io.volumes.dicom.series_list import list_series

    listing = list_series(path) if content.suffix == ".zip" else []
    descriptions = {entry.uid: entry.words for entry in listing}  # nothing that somebody typed leaves the server
    if descriptions and series is not None and not 0 < series <= len(descriptions):
        raise InputError(f"series {series}: there are {len(descriptions)}")
    return descriptions, list(descriptions)[series - 1] if descriptions and series is not None else None


def _volume(path: Path, uid: str | None, series: str | None, limit: float, quota: Quota) -> VolumeFacts:
    from medsr.volumes import labels
    from medsr.volumes.choose_model import suggest
    from medsr.volumes.slice_thickness import slice_thickness

    try:
        scan = volume_io.read(path, uid)
    except InputError as error:  # the page offers no choice between forms of a header
        wrong, mark, _ = str(error).partition(REPAIR)
        raise InputError(f"{wrong}; correct the header and send it again" if mark else wrong) from error
    voxels = int(np.prod(scan.stored.shape))
    if voxels > limit:
        raise InputError(f"{voxels / 1e6:.0f} million voxels; this server takes at most {limit / 1e6:g} million")
    write_nifti(view_path(path, NIFTI), scan, quota)
    notes = list(scan.notes)
    if scan.volumes > 1:
        notes.append(f"{scan.volumes} time points: all are refined, the first is shown")
    is_labels = labels.is_labels(scan)
    display = of_volume(scan)
    chosen = suggest(scan)
    if not is_labels:
        thickness = slice_thickness(scan)
        notes += [*thickness.notes, *filter(None, [thickness.words])]
    return VolumeFacts(
        format=scan.kind,
        shape=list(scan.stored.shape),
        spacing=[round(step, 4) for step in scan.grid.spacing],
        dtype=scan.stored.dtype.name,
        modality=scan.modality,
        labels=is_labels,
        suggested=chosen.model,
        why=chosen.why,
        fits=chosen.fits,
        finer=_finer_grid(scan),
        series=series,
        header=coded_words(scan.extra[0].dataset, scan.extra[0].cosines) if scan.kind == DICOM and scan.extra else "",
        show_low=display.low,
        show_high=display.high,
        range=display.range,
        unit="" if is_labels else display.unit,
        notes=list(map(page_words, notes)),
    )


def _finer_grid(scan: Volume) -> VoxelGrid | None:
    from medsr.volumes.request import Request

    try:
        shape = Request().target(scan.grid)
    except MedsrError:
        return None
    return grid_of(shape, scan)


def grid_of(shape: tuple[int, int, int], scan: Volume) -> VoxelGrid:
    """A finer shape over the scan's box."""
    return VoxelGrid(shape=list(shape), spacing=[round(step, 4) for step in scan.grid.on(shape).spacing])


def write_nifti(path: Path, scan: Volume, quota: Quota) -> None:
    """The first volume as plain NIfTI: only for looking, never for download. Raises BusyError as `write_pixels`."""
    first: NDArray = scan.stored[..., 0] if scan.stored.ndim == 4 else scan.stored
    if first.dtype.name not in VIEWABLE:
        first = first.astype(np.int16 if first.dtype == np.int8 else np.float32)
    quota.check(first.nbytes)
    path.parent.mkdir(exist_ok=True)
    volume_io.write(path, Volume(first, scan.affine, "", scan.slope, scan.intercept))
