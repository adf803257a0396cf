"""2D images in PNG, JPEG, TIFF and DICOM: read to an `Image`, write one back in the same kind of file."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from medsr.errors import InputError, MemoryExhaustedError, UsageError
from medsr.intensity import Window, bits_that_hold
from medsr.io import files
from medsr.io.base import DICOM, JPEG, PNG, TIFF, Image
from medsr.io.files import atomic_path
from medsr.resample import resize

__all__ = ["DICOM", "JPEG", "PNG", "TIFF", "Image", "enlarge", "expand", "list_images", "read", "sniff", "write"]

SUFFIXES = {
    ".png": PNG,
    ".jpg": JPEG,
    ".jpeg": JPEG,
    ".tif": TIFF,
    ".tiff": TIFF,
    ".ppm": "PPM",
    ".pgm": "PPM",
    ".bmp": "BMP",
    ".dcm": DICOM,
}
WRITABLE = frozenset({".png", ".jpg", ".jpeg", ".tif", ".tiff", ".dcm"})


def read(path: Path, bits: int | None = None) -> Image:
    """Read an image file; the content, not the name, says what it is.

    `bits`: bits stored in a 16-bit file that does not declare them.
    Raises InputError naming the file when it is missing, damaged, or of a kind not handled.
    """
    try:
        with path.open("rb") as stream:
            head = stream.read(132)
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from error
    reader = _reader_for(path, head)
    try:
        image = reader(path)
    except InputError:
        raise
    except MemoryError as error:
        raise MemoryExhaustedError(f"{path}: more than the free memory holds") from error
    except Exception as error:  # decoders raise whatever they like on damaged files
        reason = " ".join(str(error).split()) or type(error).__name__
        raise InputError(f"{path}: damaged or not a readable image ({reason})") from error
    if image.pixels.size == 0:
        raise InputError(f"{path}: the image is empty")
    return _declare_bits(image, bits, path)


def write(path: Path, image: Image) -> None:
    """Write `image` whole or not at all, in the format `path`'s suffix names.

    Raises UsageError where that format cannot hold the values unchanged.
    """
    from medsr.io import dicom, jpeg, raster, tiff

    kind = SUFFIXES.get(path.suffix.lower())
    writers = {PNG: raster.write_png, JPEG: jpeg.write, TIFF: tiff.write, DICOM: dicom.write}
    if kind not in writers:
        raise UsageError(f"{path}: medsr writes .png, .jpg, .tif and .dcm, not {path.suffix!r}")
    _refuse_loss(path, image, kind)
    with atomic_path(path) as temporary:
        writers[kind](temporary, image)


def enlarge(image: Image, unit: NDArray[np.float32]) -> Image:
    """`image` holding the enlarged unit values `unit`; transparency follows bicubically, resolution (dpi) in step."""
    height, width = unit.shape[:2]
    alpha = image.alpha
    if alpha is not None:
        top = np.iinfo(alpha.dtype).max
        alpha = np.rint(resize(alpha[:, :, None], (height, width), "bicubic")[:, :, 0].clip(0, top)).astype(alpha.dtype)
    extra = dict(image.extra)
    if dpi := extra.get("dpi"):
        old_height, old_width = image.pixels.shape[:2]
        extra["dpi"] = (float(dpi[0]) * width / old_width, float(dpi[1]) * height / old_height)
    return replace(image.with_unit(unit, alpha), extra=extra)


def expand(inputs: Iterable[str | Path]) -> list[Path]:
    """Files, folders and globs to a list of files, each once; folders give their images, searched recursively.

    Raises UsageError when one of them matches nothing.
    """
    return files.expand(inputs, list_images, Path.is_file)


def list_images(folder: Path, pattern: str = "*") -> list[Path]:
    """The image files below `folder` whose name matches `pattern`, sorted; DICOM files need no suffix."""
    files = (path for path in folder.rglob(pattern) if path.is_file() and not path.name.startswith("."))
    return sorted(path for path in files if path.suffix.lower() in SUFFIXES or is_dicom(path))


def is_dicom(path: Path) -> bool:
    """Whether the file begins as DICOM files do."""
    return sniff(path) == DICOM


def sniff(path: Path) -> str | None:
    """The format by the first bytes: PNG (also for PPM, PGM, BMP, which become PNG), JPEG, TIFF, DICOM or None."""
    try:
        with path.open("rb") as stream:
            head = stream.read(132)
    except OSError:
        return None
    if head[128:132] == b"DICM":  # first: its 128 free bytes may look like another format
        return DICOM
    if head.startswith((b"\x89PNG\r\n\x1a\n", b"P5", b"P6", b"BM")):
        return PNG
    if head.startswith(b"\xff\xd8\xff"):
        return JPEG
    return TIFF if head[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+") else None


def _reader_for(path: Path, head: bytes) -> Callable[[Path], Image]:
    from medsr.io import dicom, jpeg, raster, tiff

    if not head:
        raise InputError(f"{path}: the file is empty")
    png = raster.read_png if head.startswith(b"\x89PNG") else raster.read_plain
    readers = {DICOM: dicom.read, PNG: png, JPEG: jpeg.read, TIFF: tiff.read}
    if (kind := sniff(path)) is not None:
        return readers[kind]
    if path.suffix.lower() == ".dcm":  # some are written without the preamble
        return dicom.read
    claim = f"named {path.suffix} but " if path.suffix.lower() in SUFFIXES else ""
    raise InputError(f"{path}: {claim}not a PNG, JPEG, TIFF or DICOM image")


def _declare_bits(image: Image, bits: int | None, path: Path) -> Image:
    """Settle the depth of 16-bit pixels that do not declare it; `extra['declared']` marks those that do."""
    if image.pixels.dtype != np.uint16 or image.extra.get("declared"):
        return image
    largest = int(image.pixels.max())
    if bits is not None and largest >= 1 << bits:
        raise InputError(f"{path}: holds {largest}, more than the {bits} bits given")
    used = bits or bits_that_hold(largest)
    window = Window.of_bits(used, inverted=image.window.inverted, store_bits=bits or 16)
    note = (
        "" if bits or used == 16 else f"16-bit file without declared depth; largest value {largest}, read as {used}-bit"
    )
    return replace(image, window=window, note=note)


def _refuse_loss(path: Path, image: Image, kind: str) -> None:
    if kind == JPEG and (image.pixels.dtype != np.uint8 or image.alpha is not None):
        raise UsageError(f"{path}: JPEG cannot hold 16-bit values or transparency; choose .png or .tif")
    if kind != TIFF and image.extra.get("orientation", 1) != 1:
        raise UsageError(f"{path}: a TIFF whose picture is turned by a tag can only be written as TIFF")
    if kind != image.kind and image.window.inverted:
        raise UsageError(f"{path}: an image stored white-is-zero can only be written as {image.kind}")
