"""TIFF: grey, RGB and palette, 2 to 16 bits."""

from __future__ import annotations

import logging
import math
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray

from medsr.core.errors import InputError
from medsr.io import decoder
from medsr.io.images import jpeg, opening
from medsr.io.images.base import MAX_PIXELS, TIFF, Image, joined, looked_up, resolution_within, shape_pixels, window_of
from medsr.io.orientation import UPRIGHT, valid

logging.getLogger("tifffile").setLevel(logging.CRITICAL)  # what it logs about damaged files it also raises
PHOTOMETRIC, COLOUR_MAP, ORIENTATION = 262, 320, 274
WHITE_IS_ZERO, BLACK_IS_ZERO, RGB, PALETTE, YCBCR = 0, 1, 2, 3, 6
COLOURS = {WHITE_IS_ZERO: 1, BLACK_IS_ZERO: 1, RGB: 3, PALETTE: 1, YCBCR: 3}
"""Samples of a pixel, by what they mean."""
OTHERS = {4: "mask", 5: "CMYK", 8: "CIE L*a*b*", 9: "ICC L*a*b*", 10: "ITU L*a*b*", 32803: "camera raw"}
JPEG, SEPARATE = 7, 2
JPEG_XR = (22610, 34934)
"""Compression whose decoder makes up what is missing, without a word."""
PLAIN = (1, 5, 8, 32773, 32946)
"""None, LZW, deflate and PackBits: whatever is compressed otherwise is decoded in a process of its own."""
SLOW = (34712, 33003, 33005, 34925, 50000, 50001, 50002, 52546)
"""JPEG 2000, LZMA, Zstandard, WebP and JPEG XL: 100 million blank samples take them up to 10 s."""
WORKERS_UP_TO = 200_000_000
"""Bytes of pixels: more are not unpacked on several cores, each of which holds a piece."""
MOST_PAGES = 1000
MOST_DPI = 1e6
REDUCED, MASK = 1, 4
"""Of NewSubfileType: pages that are not the picture itself."""


def read(path: Path) -> Image:
    """Raises InputError where the file is damaged or of a kind that is not handled."""
    with tifffile.TiffFile(path) as tiff:
        page, note = _page(tiff, path)
        _check_kind(page, path)
        stored = min(sum(page.databytecounts), path.stat().st_size)  # pieces may share their bytes
        in_process = page.compression in PLAIN or (page.compression == JPEG and page.dtype == np.uint8)
        if in_process:
            a_sample = 6 if int(page.photometric) == PALETTE else page.dtype.itemsize
            opening.check_size(math.prod(page.shape) * a_sample, stored, str(path))
        _check_pieces(page, path)
        if in_process:
            array = page.asarray(maxworkers=1 if page.nbytes > WORKERS_UP_TO else None)
        else:
            request = {"kind": "tiff", "path": os.path.abspath(path), "index": page.index}
            decoder.check_size(math.prod(page.shape), stored, str(path), page.compression in SLOW)
            array = decoder.decode(request, b"", math.prod(page.shape), str(path))
        if page.planarconfig == SEPARATE and array.ndim == 3:
            array = np.moveaxis(array, 0, -1)
        array, declared = _at_full_depth(page, array, path)
        pixels, alpha = shape_pixels(array, path)
        extra = {"declared": declared, "dpi": _dpi(page), "icc_profile": page.iccprofile}
        extra["alpha"] = page.extrasamples[0].name if page.extrasamples else "UNASSALPHA"
        extra["orientation"] = valid(page.tags[ORIENTATION].value) if ORIENTATION in page.tags else UPRIGHT
        window = window_of(pixels.dtype, declared, int(page.photometric) == WHITE_IS_ZERO)
        return Image(pixels, window, TIFF, alpha, extra, note)


def write(path: Path, image: Image) -> None:
    """Depths of 9 to 15 bits are packed, the only way in which TIFF can declare them."""
    dpi, declared = resolution_within(image, MOST_DPI), image.extra.get("declared") or 16
    orientation = image.extra.get("orientation", UPRIGHT)
    photometric = "rgb" if image.pixels.shape[2] == 3 else "miniswhite" if image.window.inverted else "minisblack"
    pixels = joined(image)
    packed = pixels.dtype == np.uint16 and declared < 16
    if packed:  # transparency may be above
        pixels = np.minimum(pixels, (1 << declared) - 1)
    tifffile.imwrite(
        path,
        pixels,
        photometric=photometric,
        extrasamples=None if image.alpha is None else [image.extra.get("alpha", "UNASSALPHA").lower()],
        bitspersample=declared if packed else None,
        compression=None if packed else "zlib",
        resolution=dpi,
        resolutionunit="INCH" if dpi else None,
        iccprofile=image.extra.get("icc_profile"),
        extratags=[(ORIENTATION, "H", 1, orientation, True)] if orientation != UPRIGHT else [],
        metadata=None,
    )


def _page(tiff: Any, path: Path) -> tuple[Any, str]:
    """The one page that is the picture, and what to say about others."""
    with suppress(IndexError):  # more would take minutes to count
        if tiff.pages[MOST_PAGES] is not None:
            raise InputError(f"{path}: has more than {MOST_PAGES} pages; only single images are handled")
    if not len(tiff.pages):
        raise InputError(f"{path}: damaged: it holds no image")
    if len(tiff.pages) == 1:
        return tiff.pages[0], ""
    whole = [page for page in tiff.pages if not int(page.subfiletype) & (REDUCED | MASK)]
    if len(whole) != 1:
        raise InputError(
            f"{path}: has {len(tiff.pages)} pages; only single images are handled: save each page as a file"
        )
    return whole[0], f"of {len(tiff.pages)} pages the full-size one; previews and masks are left out"


def _check_kind(page: Any, path: Path) -> None:
    """Raise InputError for what would not be read as it is meant."""
    if page.imagewidth * page.imagelength * page.imagedepth > MAX_PIXELS:
        raise InputError(f"{path}: {page.imagewidth}x{page.imagelength} is more than {MAX_PIXELS} pixels")
    if page.imagedepth != 1:
        raise InputError(f"{path}: has {page.imagedepth} slices in one page; only single images are handled")
    if PHOTOMETRIC not in page.tags:
        raise InputError(f"{path}: does not say what its values mean (tag PhotometricInterpretation); save it anew")
    meaning = int(page.photometric)
    if meaning not in COLOURS:
        name = OTHERS.get(meaning, f"photometric {meaning}")
        raise InputError(f"{path}: {name} TIFF is not handled, only grey, RGB and palette; convert it first")
    if meaning == YCBCR and page.compression != JPEG:  # only its JPEG decoder gives back RGB
        raise InputError(f"{path}: YCbCr TIFF without JPEG is not handled, only grey and RGB; convert it first")
    if page.compression in JPEG_XR:
        raise InputError(
            f"{path}: JPEG XR in TIFF is not handled: nobody could see that a part is missing; save it anew"
        )
    if isinstance(page.bitspersample, tuple):
        raise InputError(f"{path}: its channels have different depths {page.bitspersample}; convert it first")
    if page.bitspersample == 1 and meaning != PALETTE:
        raise InputError(f"{path}: a 1-bit image has no intensities to super-resolve")
    if page.dtype not in (np.bool_, np.uint8, np.uint16):  # else all of it would be made room for
        raise InputError(f"{path}: its pixels are {page.dtype}; only unsigned integers of up to 16 bits are handled")
    more = page.samplesperpixel - COLOURS[meaning]
    if not 0 <= more <= (meaning != PALETTE):
        kind = {1: "grey", 3: "colour"}[COLOURS[meaning]]
        raise InputError(
            f"{path}: {page.samplesperpixel} channels, said to be {kind}, are not handled; save each channel as a file"
        )


def _check_pieces(page: Any, path: Path) -> None:
    """Raise InputError where a strip or tile is missing."""
    if len(page.dataoffsets) != math.prod(page.chunked):  # a small file that claims a million strips costs minutes
        raise InputError(f"{path}: damaged: {len(page.dataoffsets)} of {math.prod(page.chunked)} pieces are there")
    pieces = zip(page.dataoffsets, page.databytecounts, strict=True)
    if empty := sum(0 in piece for piece in pieces):  # would be filled with zeros
        raise InputError(f"{path}: damaged: {empty} of its pieces are empty")
    if page.compression == JPEG and page.dtype == np.uint8:  # its decoder only warns of a picture with holes
        tables = page.jpegtables[:-2] if page.jpegtables else b""  # without their mark of an end, for what follows
        for content, _ in page.parent.filehandle.read_segments(page.dataoffsets, page.databytecounts):
            jpeg.decode(tables + content[2:] if tables else content, str(path))


def _at_full_depth(page: Any, array: NDArray, path: Path) -> tuple[NDArray, int | None]:
    """Values that fill 8 bits, or 16-bit values with their depth where the file declares it.

    A MaxSampleValue declares nothing: it is a statistic (TIFF 6.0, section 8).
    """
    bits = int(page.bitspersample)
    if int(page.photometric) == PALETTE:
        return _colours(page, array, path), 16
    if bits < 8:  # 8 bits hold them all, and so do programs that show them
        largest = (1 << bits) - 1
        return ((array.astype(np.uint16) * 255 + largest // 2) // largest).astype(np.uint8), None
    return array, bits if 8 < bits < 16 else None


def _colours(page: Any, array: NDArray, path: Path) -> NDArray[np.uint16]:
    """What a palette shows, at its own 16 bits. Some programs fill only 8 of them, as readers know."""
    table = page.colormap if COLOUR_MAP in page.tags else None
    if table is None or table.shape[0] != 3 or int(array.max(initial=0)) >= table.shape[1]:
        raise InputError(f"{path}: damaged: its colour map does not hold the colours of its pixels")
    table = table.astype(np.uint16)
    if table.max() < 256:
        table *= 257
    return looked_up(np.moveaxis(table, 0, -1), array)


def _dpi(page: Any) -> tuple[float, float] | None:
    tags = page.tags
    if "XResolution" not in tags or "YResolution" not in tags or page.resolutionunit == 1:
        return None
    per_unit = page.get_resolution("INCH")
    return float(per_unit[0]), float(per_unit[1])
