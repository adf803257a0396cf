"""JPEG: files read and written, and a stream refused where a part of its picture is missing."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow

from medsr.errors import InputError
from medsr.io.base import JPEG, METADATA, Image, joined, shape_pixels, window_of

QUALITY = 95
_MOST_PIXELS = 512
"""Of a byte: the shortest code, of one bit, can stand for a block of 8 by 8 pixels."""
_PADDING = 16
"""Bytes before the end of the picture that some cameras leave there."""


def read(path: Path) -> Image:
    content = path.read_bytes()
    with Pillow.open(path) as file:
        mode, kept = file.mode, {key: file.info[key] for key in METADATA if file.info.get(key)}
    if mode not in ("L", "RGB"):
        raise InputError(f"{path}: a {mode} JPEG is not handled, only grey and RGB")
    samples, note = decode(content, str(path))
    pixels, _ = shape_pixels(samples, path)
    return Image(pixels, window_of(pixels.dtype), JPEG, extra=kept, note=note)


def write(path: Path, image: Image) -> None:
    Pillow.fromarray(joined(image)).save(path, "JPEG", quality=QUALITY, subsampling=0, **image.extra_for(METADATA))


def decode(stream: bytes, name: str) -> tuple[NDArray[np.uint8], str]:
    """The picture of one 8-bit stream, (height, width, 1 or 3), and a note on what its writer did against the rules.

    Where a stream is damaged, decoders paint what is missing grey, or go on with what is none of the picture's, and
    only warn of it. Here that is an error.
    Raises InputError where a part is missing, or more pixels are claimed than the bytes can hold; ValueError where
    `stream` is no JPEG of 8 bits.
    """
    import simplejpeg

    height, width, space, _ = simplejpeg.decode_jpeg_header(stream, strict=False)
    if height * width > _MOST_PIXELS * len(stream):
        raise InputError(f"{name}: damaged: {len(stream)} bytes cannot hold the {width}x{height} pixels they claim")
    colours = "GRAY" if space == "Gray" else "RGB"
    try:
        return simplejpeg.decode_jpeg(stream, colours), ""
    except ValueError as error:
        reason = " ".join(str(error).split())
        if not _harmless(reason):
            raise InputError(f"{name}: damaged: a part of the picture is missing ({reason})") from error
    return simplejpeg.decode_jpeg(stream, colours, strict=False), f"not a clean JPEG ({reason}); read all the same"


def _harmless(warning: str) -> bool:
    """Bytes between the picture's last and the mark of its end, and scan headers that some telephones get wrong."""
    left = re.search(r"(\d+) extraneous bytes before marker 0xd9", warning)
    return int(left[1]) <= _PADDING if left else "Invalid SOS parameters" in warning
