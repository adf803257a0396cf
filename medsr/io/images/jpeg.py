"""JPEG: files read and written, and a stream refused where a part of its picture is missing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow

from medsr.core.errors import InputError
from medsr.core.text import reason
from medsr.io.images import opening
from medsr.io.images.base import JPEG, Image, joined, resolution_within, shape_pixels, window_of
from medsr.io.images.png import metadata
from medsr.io.orientation import UPRIGHT, exif_saying

QUALITY = 95
METADATA = ("icc_profile", "exif")
"""Of what Pillow reads beside the pixels: what goes along into the new file."""
MOST_EXIF, MOST_DPI = 65533, 65535
_MOST_PIXELS = 512
"""Of a byte: the shortest code, of one bit, can stand for a block of 8 by 8 pixels."""
_JPEG_LS = 0xF7
_FRAMES = (frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}) | {_JPEG_LS}
_LOSSLESS = (0xC3, 0xC7, 0xCB, 0xCF)


def read(path: Path) -> Image:
    """Raises InputError where a part is missing, and for what is not 8-bit grey or colour."""
    content = path.read_bytes()
    kind, precision = _frame(content)
    if kind == _JPEG_LS:
        raise InputError(f"{path}: a JPEG-LS file is not handled; convert it to PNG or TIFF")
    if precision not in (0, 8) or kind in _LOSSLESS:
        what = f"{precision}-bit" if precision not in (0, 8) else "lossless"
        raise InputError(f"{path}: a {what} JPEG is not handled, only 8-bit ones; convert it to PNG or TIFF")
    with opening.opened(content, ("JPEG",), str(path)) as file:
        mode, extra = file.mode, metadata(file)
    if mode not in ("L", "RGB"):
        raise InputError(f"{path}: a {mode} JPEG is not handled, only grey and RGB; convert it first")
    note = ""
    if len(extra.get("exif", b"")) > MOST_EXIF:
        note = "its EXIF is longer than a JPEG can take back: only the orientation is kept"
        del extra["exif"]
        if extra["orientation"] != UPRIGHT:
            extra["exif"] = exif_saying(b"", extra["orientation"])
    pixels, _ = shape_pixels(decode(content, str(path)), path)
    return Image(pixels, window_of(pixels.dtype), JPEG, extra=extra, note=note)


def write(path: Path, image: Image) -> None:
    kept = image.extra_for(METADATA)
    if dpi := resolution_within(image, MOST_DPI):
        kept["dpi"] = dpi
    Pillow.fromarray(joined(image)).save(path, "JPEG", quality=QUALITY, subsampling=0, **kept)


def decode(stream: bytes, name: str) -> NDArray[np.uint8]:
    """The picture of one 8-bit stream, (height, width, 1 or 3).

    Where data are missing or left over, decoders paint grey, or go on with what is none of the picture's, and only
    warn of it. Here that is an error. Changed bits that still make as many blocks nobody can see: JPEG has no checksum.
    Raises InputError for such a stream and for one that claims more pixels than its bytes can hold; ValueError where
    `stream` is no JPEG of 8 bits.
    """
    import simplejpeg

    height, width, space, _ = simplejpeg.decode_jpeg_header(stream, strict=False)
    if height * width > _MOST_PIXELS * len(stream):
        raise InputError(f"{name}: damaged: {len(stream)} bytes cannot hold the {width}x{height} pixels they claim")
    try:
        picture: NDArray[np.uint8] = simplejpeg.decode_jpeg(stream, "GRAY" if space == "Gray" else "RGB")
    except ValueError as error:
        raise InputError(
            f"{name}: damaged: its JPEG data do not make a whole picture ({reason(error)}); if it looks whole "
            "all the same, save it anew with another program"
        ) from error
    return picture


def _frame(content: bytes) -> tuple[int, int]:
    """The marker of the frame, which says how it is coded, and its bits a sample; (0, 0) where there is none."""
    offset = 2
    while offset + 5 <= len(content) and content[offset] == 0xFF:
        marker = content[offset + 1]
        if marker in _FRAMES:
            return marker, content[offset + 4]
        if marker == 0xFF or marker == 0x01 or 0xD0 <= marker <= 0xD8:  # fill bytes, and marks without data
            offset += 1 if marker == 0xFF else 2
            continue
        offset += 2 + int.from_bytes(content[offset + 2 : offset + 4], "big")
    return 0, 0
