"""TIFF: grey, RGB and palette, 8 and 16 bits."""

from __future__ import annotations

import logging
import math
from pathlib import Path
from typing import Any

import numpy as np
import tifffile

from medsr.errors import InputError
from medsr.io import jpeg
from medsr.io.base import MAX_PIXELS, TIFF, Image, joined, shape_pixels, window_of

logging.getLogger("tifffile").setLevel(logging.CRITICAL)  # what it logs about damaged files it also raises
ORIENTATION, MAX_SAMPLE_VALUE = 274, 281
UPRIGHT = 1


def read(path: Path) -> Image:
    with tifffile.TiffFile(path) as tiff:
        if not len(tiff.pages):
            raise InputError(f"{path}: damaged: it holds no image")
        if len(tiff.pages) != 1:
            raise InputError(f"{path}: has {len(tiff.pages)} pages; only single images are handled")
        page = tiff.pages[0]
        if page.imagewidth * page.imagelength > MAX_PIXELS:
            raise InputError(f"{path}: {page.imagewidth}x{page.imagelength} is more than {MAX_PIXELS} pixels")
        if page.samplesperpixel > 4 or page.dtype not in (np.uint8, np.uint16):  # else all of it would be made room for
            raise InputError(f"{path}: {page.samplesperpixel} channels of {page.dtype} are not handled")
        if len(page.dataoffsets) != math.prod(page.chunked):  # a small file that claims a million strips costs minutes
            raise InputError(f"{path}: damaged: {len(page.dataoffsets)} of {math.prod(page.chunked)} pieces are there")
        pieces = zip(page.dataoffsets, page.databytecounts, strict=True)
        if empty := sum(0 in piece for piece in pieces):  # would be filled with zeros
            raise InputError(f"{path}: damaged: {empty} of its pieces are empty")
        photometric = page.photometric.name
        if photometric == "YCBCR" and page.compression.name != "JPEG":  # only its JPEG decoder gives back RGB
            raise InputError(f"{path}: uncompressed YCbCr TIFF is not handled, only grey, RGB and palette")
        if page.compression.name == "JPEG" and page.dtype == np.uint8:
            _check_jpeg(page, path)
        array = page.asarray()
        if photometric == "PALETTE":
            table = page.colormap
            array, photometric = np.moveaxis(table, 0, -1)[array], "RGB"
        elif photometric not in ("MINISBLACK", "MINISWHITE", "RGB", "YCBCR"):
            raise InputError(f"{path}: {photometric} TIFF is not handled, only grey, RGB and palette")
        if array.ndim == 3 and page.planarconfig.name == "SEPARATE":
            array = np.moveaxis(array, 0, -1)
        pixels, alpha = shape_pixels(array, path)
        declared = _depth(page, pixels.dtype)
        inverted = photometric == "MINISWHITE"
        extra = {"declared": declared, "dpi": _dpi(page), "icc_profile": page.iccprofile}
        extra["alpha"] = page.extrasamples[0].name if page.extrasamples else "UNASSALPHA"
        extra["orientation"] = int(page.tags[ORIENTATION].value) if ORIENTATION in page.tags else UPRIGHT
        return Image(pixels, window_of(pixels.dtype, declared, inverted), TIFF, alpha, extra)


def write(path: Path, image: Image) -> None:
    dpi, declared = image.extra.get("dpi"), image.extra.get("declared")
    orientation = image.extra.get("orientation", UPRIGHT)
    tags = [(ORIENTATION, "H", 1, orientation, True)] if orientation != UPRIGHT else []
    tags += [(MAX_SAMPLE_VALUE, "H", 1, (1 << declared) - 1, True)] if declared else []
    photometric = "rgb" if image.pixels.shape[2] == 3 else "miniswhite" if image.window.inverted else "minisblack"
    tifffile.imwrite(
        path,
        joined(image),
        photometric=photometric,
        extrasamples=None if image.alpha is None else [image.extra.get("alpha", "UNASSALPHA").lower()],
        compression="zlib",
        resolution=dpi,
        resolutionunit="INCH" if dpi else None,
        iccprofile=image.extra.get("icc_profile"),
        extratags=tags,
        metadata=None,
    )


def _check_jpeg(page: Any, path: Path) -> None:
    """Its decoder only warns of a picture with holes."""
    tables = page.jpegtables[:-2] if page.jpegtables else b""  # without their mark of an end, for what follows
    pieces = page.parent.filehandle.read_segments(page.dataoffsets, page.databytecounts)
    for content, _ in pieces:
        jpeg.decode(tables + content[2:] if tables else content, str(path))


def _depth(page: Any, dtype: np.dtype) -> int | None:
    """Bits stored when the file says so: an odd BitsPerSample, or a MaxSampleValue of the form 2^n - 1."""
    container = dtype.itemsize * 8
    per_sample = page.bitspersample
    if isinstance(per_sample, int) and per_sample < container:
        return per_sample
    tag = page.tags.get("MaxSampleValue") or page.tags.get("SMaxSampleValue")
    value = tag.value if tag is not None else None
    value = max(value) if isinstance(value, tuple) else value
    if isinstance(value, int | float) and value > 255 and (int(value) + 1).bit_count() == 1:
        return int(value).bit_length()
    return None


def _dpi(page: Any) -> tuple[float, float] | None:
    tags = page.tags
    if "XResolution" not in tags or "YResolution" not in tags or page.resolutionunit == 1:
        return None
    per_unit = page.get_resolution("INCH")
    return float(per_unit[0]), float(per_unit[1])
