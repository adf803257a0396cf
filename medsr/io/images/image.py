"""2D images in PNG, JPEG, TIFF and DICOM: read to an `Image`, write one back in the same kind of file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from medsr.core.errors import InputError, MemoryExhaustedError, UsageError
from medsr.core.resample import resize
from medsr.core.text import reason
from medsr.io import files, orientation
from medsr.io.dicom.signature import HEAD
from medsr.io.files import atomic_path
from medsr.io.images import background, depth
from medsr.io.images.base import DICOM, JPEG, PNG, TIFF, Image
from medsr.io.images.formats import BY_NAME, SUFFIXES, UNREAD, WRITTEN, ImageFormat, format_of, listed
from medsr.io.images.frames import Frames, numbers
from medsr.io.images.limits import check_result
from medsr.io.kinds import detect_file_type, is_dicom, is_image, list_images, matches, unread_reason
from medsr.io.listing import files_below
from medsr.io.metadata import describing_image
from medsr.io.volumes import volume_files
from medsr.io.wrong_kind import SCANS

__all__ = [
    "DICOM",
    "JPEG",
    "PNG",
    "SUFFIXES",
    "TIFF",
    "UNREAD",
    "Image",
    "check_result",
    "decide_depth",
    "detect_file_type",
    "expand",
    "is_dicom",
    "is_image",
    "list_images",
    "matches",
    "read",
    "read_as_shown",
    "read_frames",
    "upsampled",
    "with_pixels",
    "write",
]


def read(path: Path, bits: int | None = None, assumed: Mapping[str, int] = {}) -> Image:
    """Read an image file; the content, not the name, says what it is.

    `bits`: bits stored in a 16-bit file that does not declare them. `assumed`: what `decide_depth` says of them.
    Raises InputError naming the file when it is missing, damaged, or of a kind not handled.
    """
    content = _decoded(path)
    assert isinstance(content, Image)
    return depth.settled(content, bits, assumed, path)


def read_as_shown(path: Path, bits: int | None = None, assumed: Mapping[str, int] = {}) -> Image:
    """As `read`, with the pixels turned as programs show them: for training and measuring, beside masks and pairs."""
    return orientation.as_shown(read(path, bits, assumed))


def read_frames(
    path: Path, frames: str | None, bits: int | None = None, assumed: Mapping[str, int] = {}
) -> Image | Frames:
    """As `read`; of a file of several frames those that `frames` names (all, 1-5, 1,3), one after the other.

    They share one depth. Raises as `read`; UsageError where a frame is not there.
    """
    content = _decoded(path, frames, chosen=True)
    if isinstance(content, Image):
        return depth.settled(content, bits, assumed, path)
    first = next(iter(content))
    if depth.is_open(first) and not bits and depth.series_of(first) not in assumed:
        assumed = {depth.ANY: max(depth.needed(image) for image in content), **assumed}
    return replace(content, decode=lambda number: depth.settled(content.decode(number), bits, assumed, path))


def decide_depth(paths: Iterable[Path], frames: str | None = None) -> dict[str, int]:
    """How many bits the 16-bit files among `paths` hold that do not declare it, by series (`depth.series_of`).

    The same for all files of a series, and all `frames` of a file: the most that one of them needs. Files that cannot
    be read do not count.
    """
    bits_by_series: dict[str, int] = {}
    for path in paths:
        if not _may_be_open(path):
            continue
        try:
            for image in _pictures(path, frames):
                if not depth.is_open(image):
                    break
                series = depth.series_of(image)
                bits_by_series[series] = max(bits_by_series.get(series, 0), depth.needed(image))
        except (InputError, UsageError, MemoryExhaustedError):  # said where it is worked on
            continue
    return bits_by_series


def _pictures(path: Path, frames: str | None) -> Iterator[Image]:
    content = _decoded(path, frames, chosen=True)
    return iter([content] if isinstance(content, Image) else content)


def write(path: Path, image: Image, keep_metadata: bool = False) -> str:
    """Write `image` whole or not at all, in the format `path`'s suffix names; returns the SHA-256 of what was written.

    `keep_metadata`: also the EXIF it was read with, which may name a person or a place.
    Raises UsageError where that format cannot hold the values unchanged.
    """
    entry = SUFFIXES.get(path.suffix.lower())
    if entry is None or not entry.writer:
        suffixes = listed([written.suffix for written in WRITTEN], "and")
        raise UsageError(f"{path}: medsr writes {suffixes}, not {path.suffix!r}")
    _refuse_loss(path, image, entry)
    with atomic_path(path) as temporary:
        entry.write(temporary, image if keep_metadata else describing_image(image))
        return files.sha256(temporary)  # not yet in its place, where another process may put another


def upsampled(image: Image, unit: NDArray[np.float32]) -> Image:
    """`image` holding the enlarged unit values `unit`; transparency follows bicubically, resolution (dpi) in step."""
    return with_pixels(image, image.with_unit(unit).pixels)


def with_pixels(image: Image, pixels: NDArray) -> Image:
    """`image` with upsampled `pixels`, as they are stored; its background, where it has one, is put into them."""
    height, width = pixels.shape[:2]
    alpha = image.alpha
    if alpha is not None:
        top = np.iinfo(alpha.dtype).max
        alpha = np.rint(resize(alpha[:, :, None], (height, width), "bicubic")[:, :, 0].clip(0, top)).astype(alpha.dtype)
    extra = dict(image.extra)
    if dpi := extra.get("dpi"):
        old_height, old_width = image.pixels.shape[:2]
        extra["dpi"] = (float(dpi[0]) * width / old_width, float(dpi[1]) * height / old_height)
    background.restore(image, pixels)
    return replace(image, pixels=pixels, alpha=alpha, extra=extra)


def expand(inputs: Iterable[str | Path]) -> list[Path]:
    """Files, folders and globs to a list of files, each once; folders give their images, searched recursively.

    Raises UsageError when one of them matches nothing.
    """
    return files.expand(inputs, _images_below, Path.is_file)


def _images_below(folder: Path) -> list[Path]:
    images = list_images(folder)
    if not images and any(map(volume_files.is_volume, files_below(folder))):
        raise UsageError(f"{folder}: {SCANS}medsr volume {folder} --out FOLDER")
    return images


def _decoded(path: Path, frames: str | None = None, chosen: bool = False) -> Image | Frames:
    """What the file holds, whatever depth its values may mean; `chosen`: several frames may be, by `frames`."""
    files.check_regular(path)
    try:
        with path.open("rb") as stream:
            head = stream.read(HEAD)
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from error
    entry = _format_for(path, head)
    try:
        if chosen and entry.frames_reader:
            content: Image | Frames = entry.read_frames(path, frames)
        else:
            content = entry.read(path)
            if frames is not None:
                numbers(frames, 1, str(path))
    except (InputError, UsageError):
        raise
    except MemoryError as error:
        raise MemoryExhaustedError(f"{path}: more than the free memory holds") from error
    except Exception as error:  # decoders raise whatever they like on damaged files
        raise InputError(f"{path}: damaged or not a readable image ({reason(error, path)})") from error
    if isinstance(content, Image) and content.pixels.size == 0:
        raise InputError(f"{path}: the image is empty")
    return content


def _format_for(path: Path, head: bytes) -> ImageFormat:
    if not head:
        raise InputError(f"{path}: the file is empty")
    if (entry := format_of(head)) is not None:
        return entry
    suffix = path.suffix.lower()
    claimed = SUFFIXES.get(suffix)
    if claimed is not None and claimed.known_by_name:
        return claimed
    if claimed is None and suffix in UNREAD:
        raise InputError(unread_reason(path))
    if volume_files.is_volume(path):
        raise InputError(f"{path}: a scan, not an image; for scans: medsr volume {path} --out FILE_OR_FOLDER")
    claim = f"named {path.suffix} but " if claimed is not None else ""
    raise InputError(f"{path}: {claim}not a {listed([written.name for written in WRITTEN], 'or')} image")


def _may_be_open(path: Path) -> bool:
    """Whether it may hold 16 bits: whole folders of 8-bit pictures are not decoded for that question."""
    try:
        files.check_regular(path)
        with path.open("rb") as stream:
            head = stream.read(HEAD)
        return bool(_format_for(path, head).open_depth(head))
    except (OSError, InputError):
        return False


def _refuse_loss(path: Path, image: Image, target: ImageFormat) -> None:
    if target.own_only and image.kind != target.name:
        raise UsageError(f"{path}: only an image read from {target.name} can be written as {target.name}")
    dtype = image.pixels.dtype
    values = f"{'signed ' if dtype.kind == 'i' else ''}{dtype.itemsize * 8}-bit values"
    lacking = [] if dtype.name in target.dtypes else [values]
    lacking += [] if target.alpha or image.alpha is None else ["transparency"]
    if lacking:
        raise UsageError(f"{path}: {target.name} cannot hold {' or '.join(lacking)}; choose .png or .tif")
    source = BY_NAME.get(image.kind)
    if image.extra.get("orientation", 1) != 1 and source is not None and source.orientation != target.orientation:
        if source.orientation == "tag":
            raise UsageError(
                f"{path}: a {source.name} whose picture is turned by a tag can only be written as {source.name}"
            )
        if not target.orientation:
            raise UsageError(f"{path}: {target.name} cannot say that its picture is turned; choose .png or .tif")
    if target.name != image.kind and image.window.inverted:
        raise UsageError(f"{path}: an image stored white-is-zero can only be written as {image.kind}")
