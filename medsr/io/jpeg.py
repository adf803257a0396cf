"""JPEG: files read and written, and a stream refused where a part of its picture is missing."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow

from medsr.errors import InputError
from medsr.io.base import JPEG, Image, joined, shape_pixels, window_of

QUALITY = 95
METADATA = ("icc_profile", "exif", "dpi")
"""Of what Pillow reads beside the pixels: what goes along into the new file."""
_MOST_PIXELS = 512
"""Of a byte: the shortest code, of one bit, can stand for a block of 8 by 8 pixels."""


def read(path: Path) -> Image:
    content = path.read_bytes()
    with Pillow.open(io.BytesIO(content)) as file:
        mode, kept = file.mode, {key: file.info[key] for key in METADATA if file.info.get(key)}
    if mode not in ("L", "RGB"):
        raise InputError(f"{path}: a {mode} JPEG is not handled, only grey and RGB")
    pixels, _ = shape_pixels(decode(content, str(path)), path)
    return Image(pixels, window_of(pixels.dtype), JPEG, extra=kept)


def write(path: Path, image: Image) -> None:
    Pillow.fromarray(joined(image)).save(path, "JPEG", quality=QUALITY, subsampling=0, **image.extra_for(METADATA))


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
        reason = " ".join(str(error).split())
        raise InputError(
            f"{name}: damaged: its JPEG data do not make a whole picture ({reason}); if it looks whole all the same, "
            "save it anew with another program"
        ) from error
    return picture
