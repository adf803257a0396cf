"""PNG and the plain formats (PPM, PGM, BMP)."""

from __future__ import annotations

import io
import zlib
from pathlib import Path

import numpy as np
from PIL import Image as Pillow

from medsr.errors import InputError
from medsr.io import png_chunks
from medsr.io.base import PNG, Image, joined, shape_pixels, window_of


def read_png(path: Path) -> Image:
    import imagecodecs

    content = path.read_bytes()
    with Pillow.open(io.BytesIO(content)) as header:
        mode, extra = header.mode, {key: header.info[key] for key in ("dpi",) if header.info.get(key)}
        palette = mode == "P"
        if palette:
            header.load()
            array = np.asarray(header.convert("RGBA" if "transparency" in header.info else "RGB"))
    if mode == "1":
        raise InputError(f"{path}: a 1-bit image has no intensities to super-resolve")
    if not palette:
        array = imagecodecs.png_decode(content)
    pixels, alpha = shape_pixels(array, path)
    chunks = png_chunks.read(content)
    significant = png_chunks.depth(chunks)
    # By the standard samples fill the container and sBIT says how many bits were measured; not all writers scale.
    scaled = significant is not None and pixels.dtype == np.uint16 and int(pixels.max()) >= 1 << significant
    extra["chunks"], extra["declared"] = chunks, 16 if scaled else None
    return Image(pixels, window_of(pixels.dtype), PNG, alpha, extra)


def read_plain(path: Path) -> Image:
    with Pillow.open(path) as file:
        if file.mode not in ("L", "RGB"):
            raise InputError(f"{path}: a {file.mode} image is not handled, only 8-bit grey and RGB")
        pixels, alpha = shape_pixels(np.asarray(file), path)
        return Image(pixels, window_of(pixels.dtype), PNG, alpha)


def write_png(path: Path, image: Image) -> None:
    import imagecodecs

    content = bytes(imagecodecs.png_encode(np.ascontiguousarray(joined(image))))
    if (chunks := image.extra.get("chunks")) is None:  # not from a PNG: what other formats say in their own way
        chunks = _as_chunks(image)
    if dpi := image.extra.get("dpi"):
        chunks = chunks | {b"pHYs": png_chunks.resolution(dpi)}
    path.write_bytes(png_chunks.insert(content, chunks))


def _as_chunks(image: Image) -> dict[bytes, bytes]:
    chunks = {}
    if profile := image.extra.get("icc_profile"):
        chunks[b"iCCP"] = b"ICC profile\0\0" + zlib.compress(profile)
    if exif := image.extra.get("exif"):
        chunks[b"eXIf"] = exif.removeprefix(b"Exif\0\0")
    return chunks
