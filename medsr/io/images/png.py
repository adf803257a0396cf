"""PNG, and what becomes PNG: BMP, GIF and WebP."""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow

from medsr.core.errors import InputError
from medsr.io.images import opening, png_chunks
from medsr.io.images.base import PNG, Image, joined, looked_up, resolution_within, shape_pixels, window_of
from medsr.io.orientation import UPRIGHT, exif_saying, stated

ONE_BIT = "a 1-bit image has no intensities to super-resolve"
PLAIN = ("BMP", "DIB", "GIF", "WEBP")
"""What Pillow may open here: of the others some start programs, as EPS starts Ghostscript."""
CHANNELS, PALETTE = {0: 1, 2: 3, 4: 2, 6: 4}, 3
"""Of a pixel, by a PNG's kind of colour."""
LEVEL = 4
"""Of compression: four times as fast as the usual 6, for files that are 5 to 7 % larger. It loses nothing."""
MOST_PER_METRE = (1 << 31) - 1


def read_png(path: Path) -> Image:
    """Raises InputError for an animation and for black and white alone."""
    import imagecodecs

    content = path.read_bytes()
    if (frames := png_chunks.frames(content)) > 1:
        raise InputError(f"{path}: an animation of {frames} pictures; only single images are handled")
    with opening.opened(content, ("PNG",), str(path), _png_bytes(content)) as header:
        mode, extra = header.mode, {key: header.info[key] for key in ("dpi",) if header.info.get(key)}
        palette = mode == "P"
        if palette:
            array = _colours(header)
    if mode == "1":
        raise InputError(f"{path}: {ONE_BIT}")
    if not palette:
        array = imagecodecs.png_decode(content)
    pixels, alpha = shape_pixels(array, path)
    chunks = png_chunks.read(content)
    orientation = stated(chunks.get(b"eXIf", b""), png_chunks.text(content, png_chunks.XMP))
    if orientation != UPRIGHT:
        chunks[b"eXIf"] = exif_saying(chunks.get(b"eXIf", b""), orientation).removeprefix(b"Exif\0\0")
    significant = png_chunks.depth(chunks)
    extra |= {"chunks": chunks, "significant": significant, "orientation": orientation}
    return Image(pixels, window_of(pixels.dtype), PNG, alpha, extra)


def read_plain(path: Path) -> Image:
    """BMP, GIF or WebP, through Pillow. Raises InputError for animations and for black and white alone."""
    with opening.opened(path.read_bytes(), PLAIN, str(path)) as file:
        if getattr(file, "is_animated", False):  # how many pictures it holds may take long to count
            raise InputError(f"{path}: an animation of several pictures; only single images are handled")
        if file.mode == "1":
            raise InputError(f"{path}: {ONE_BIT}")
        if file.mode == "P":
            array = _colours(file)
        else:
            file.load()
            shown = file.convert("LA") if file.mode == "L" and "transparency" in file.info else file
            if shown.mode not in ("L", "LA", "RGB", "RGBA"):
                raise InputError(f"{path}: a {shown.mode} image is not handled, only 8-bit grey and RGB")
            array = np.asarray(shown)
        pixels, alpha = shape_pixels(array, path)
        return Image(pixels, window_of(pixels.dtype), PNG, alpha, metadata(file))


def _colours(file: Pillow.Image) -> NDArray[np.uint8]:
    """What the palette of `file` shows: Pillow's own colours, without its copies of the whole picture."""
    file.load()
    table = file.crop((0, 0, 1, 1)).resize((256, 1))
    table.putdata(range(256))
    colours = np.asarray(table.convert("RGBA" if "transparency" in file.info else "RGB"))[0]
    return looked_up(colours, np.asarray(file))


def _png_bytes(content: bytes) -> int:
    """Bytes that a pixel of a PNG takes, by the depth and the kind of colour in its header; a palette's by Pillow."""
    depth, colour = content[24:26]
    return -(-depth * CHANNELS.get(colour, 4) // 8) if colour != PALETTE else opening.HELD["P"]


def metadata(file: Pillow.Image) -> dict[str, Any]:
    """What Pillow reads beside the pixels and our writers take along, and how the picture is shown."""
    extra = {key: file.info[key] for key in ("icc_profile", "dpi") if file.info.get(key)}
    exif = file.info.get("exif", b"")
    orientation = stated(exif, file.info.get("xmp", b""))
    exif = exif_saying(exif, orientation) if orientation != UPRIGHT else exif
    return extra | {"orientation": orientation} | ({"exif": exif} if exif else {})


def write_png(path: Path, image: Image) -> None:
    import imagecodecs

    planes = joined(image)
    content = imagecodecs.png_encode(np.ascontiguousarray(planes), level=LEVEL)
    if (chunks := image.extra.get("chunks")) is None:  # not from a PNG: what other formats say in their own way
        chunks = _as_chunks(image)
    channels = 1 if planes.ndim == 2 else planes.shape[2]
    kept = {name: data for name, data in chunks.items() if name != b"sBIT" or len(data) == channels}
    if dpi := resolution_within(image, MOST_PER_METRE * 0.0254):
        kept[b"pHYs"] = png_chunks.resolution(dpi)
    with path.open("wb") as stream:
        stream.writelines(png_chunks.with_chunks(content, kept))


def _as_chunks(image: Image) -> dict[bytes, bytes]:
    chunks = {}
    if profile := image.extra.get("icc_profile"):
        chunks[b"iCCP"] = b"ICC profile\0\0" + zlib.compress(profile)
    if exif := image.extra.get("exif"):
        chunks[b"eXIf"] = exif.removeprefix(b"Exif\0\0")
    return chunks
