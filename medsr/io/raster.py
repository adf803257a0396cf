"""PNG, JPEG and the plain formats (PPM, PGM, BMP)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image as Pillow

from medsr.errors import InputError
from medsr.io.base import JPEG, PNG, Image, joined, shape_pixels, window_of

JPEG_QUALITY = 95
METADATA = ("icc_profile", "exif", "dpi")


def read_png(path: Path) -> Image:
    import imagecodecs

    with Pillow.open(path) as header:  # the only reader here that gives palette, profile and resolution
        mode, extra = header.mode, _metadata(header.info)
        palette = header.mode == "P"
        if palette:
            header.load()
            array = np.asarray(header.convert("RGBA" if "transparency" in header.info else "RGB"))
    if not palette:
        if mode == "1":
            raise InputError(f"{path}: a 1-bit image has no intensities to super-resolve")
        array = imagecodecs.png_decode(path.read_bytes())
    pixels, alpha = shape_pixels(array, path)
    return Image(pixels, window_of(pixels.dtype), PNG, alpha, extra)


def read_jpeg(path: Path) -> Image:
    with Pillow.open(path) as file:
        if file.mode not in ("L", "RGB"):
            raise InputError(f"{path}: a {file.mode} JPEG is not handled, only grey and RGB")
        pixels, alpha = shape_pixels(np.asarray(file), path)
        return Image(pixels, window_of(pixels.dtype), JPEG, alpha, _metadata(file.info))


def read_plain(path: Path) -> Image:
    with Pillow.open(path) as file:
        if file.mode not in ("L", "RGB"):
            raise InputError(f"{path}: a {file.mode} image is not handled, only 8-bit grey and RGB")
        pixels, alpha = shape_pixels(np.asarray(file), path)
        return Image(pixels, window_of(pixels.dtype), PNG, alpha)


def write_png(path: Path, image: Image) -> None:
    array = joined(image)
    if array.dtype == np.uint8:
        Pillow.fromarray(array).save(path, "PNG", **image.extra_for(METADATA))
    else:
        import imagecodecs

        path.write_bytes(imagecodecs.png_encode(np.ascontiguousarray(array)))


def write_jpeg(path: Path, image: Image) -> None:
    keep = image.extra_for(METADATA)
    Pillow.fromarray(joined(image)).save(path, "JPEG", quality=JPEG_QUALITY, subsampling=0, **keep)


def _metadata(info: Mapping[str, Any]) -> dict[str, Any]:
    return {key: info[key] for key in METADATA if info.get(key)}
