"""How a picture is shown: the orientation that EXIF and TIFF tag 274 name, 1 (as stored) to 8."""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import tifffile
from numpy.typing import NDArray
from PIL import Image as Pillow
from PIL import UnidentifiedImageError

from medsr.core.text import reason
from medsr.io.images import netpbm, opening
from medsr.io.images.base import Image

UPRIGHT = 1
TAG = 274
_EXIF_ENTRIES, _COLOUR_SPACE = 0x8769, 0xA001
_TURNS: dict[int, Callable[[NDArray], NDArray]] = {
    2: lambda stored: stored[:, ::-1],
    3: lambda stored: stored[::-1, ::-1],
    4: lambda stored: stored[::-1],
    5: lambda stored: stored.swapaxes(0, 1),
    6: lambda stored: np.rot90(stored, -1),
    7: lambda stored: stored[::-1, ::-1].swapaxes(0, 1),
    8: lambda stored: np.rot90(stored, 1),
}
_PILLOW_TURNS = {
    2: Pillow.Transpose.FLIP_LEFT_RIGHT,
    3: Pillow.Transpose.ROTATE_180,
    4: Pillow.Transpose.FLIP_TOP_BOTTOM,
    5: Pillow.Transpose.TRANSPOSE,
    6: Pillow.Transpose.ROTATE_270,
    7: Pillow.Transpose.TRANSVERSE,
    8: Pillow.Transpose.ROTATE_90,
}
_SHOWN_ONCE = ("exif", "dpi", "chunks", "orientation")
"""Of what belongs to a file: what says how it is shown, and would turn it again."""


def valid(value: Any) -> int:
    """An orientation as a file names it; 1 for anything that is not one."""
    return int(value) if isinstance(value, int) and value in _TURNS else UPRIGHT


def apply_orientation(stored: NDArray, orientation: int) -> NDArray:
    """(H, W[, C]) as stored to what is shown."""
    turn = _TURNS.get(orientation)
    return stored if turn is None else np.ascontiguousarray(turn(stored))


def as_shown(image: Image) -> Image:
    """The image with its pixels as programs show them, and without the tag that says so; itself where it has none."""
    orientation = image.extra.get("orientation", UPRIGHT)
    if orientation == UPRIGHT:
        return image
    alpha = None if image.alpha is None else apply_orientation(image.alpha, orientation)
    extra = {key: value for key, value in image.extra.items() if key not in _SHOWN_ONCE}
    return replace(image, pixels=apply_orientation(image.pixels, orientation), alpha=alpha, extra=extra)


MASKS = ("PNG", "JPEG", "TIFF", "BMP", "DIB", "GIF", "WEBP", "PPM")
"""What Pillow may open as a mask: of the others some start programs, as EPS starts Ghostscript."""


def picture_as_shown(path: Path) -> Pillow.Image:
    """A file as Pillow reads it, mode and values as they are, turned as it is shown: for masks.

    Raises OSError, ValueError or SyntaxError, as Pillow does; InputError for what unpacks to far more than it is.
    """
    content, orientation = path.read_bytes(), UPRIGHT
    if content[:2] in netpbm.PLAIN:  # Pillow takes seconds for what it says in numbers
        pixels = netpbm.read(path).pixels
        if pixels.shape[2] == 1:
            return Pillow.fromarray(pixels[:, :, 0])
        return Pillow.fromarray((pixels >> 8).astype(np.uint8) if pixels.dtype == np.uint16 else pixels)
    if content[:2] in (b"II", b"MM"):
        try:
            content, orientation = _upright_tiff(content)
        except MemoryError:
            raise
        except Exception as error:  # tifffile raises whatever it likes on damaged files
            raise OSError(f"damaged TIFF: {reason(error)}") from error
    with ExitStack() as stack:
        try:
            picture = stack.enter_context(opening.opened(content, MASKS, str(path)))
        except UnidentifiedImageError as error:
            raise OSError("its content is not PNG, JPEG, TIFF, BMP, GIF, WebP or PGM") from error
        picture.load()
        turn = _PILLOW_TURNS.get(orientation if orientation != UPRIGHT else picture.getexif().get(TAG, UPRIGHT))
        return picture if turn is None else picture.transpose(turn)


def _upright_tiff(content: bytes) -> tuple[bytes, int]:
    """The same file saying that it lies as stored, and what it said: Pillow mixes up rows of turned ones."""
    with tifffile.TiffFile(io.BytesIO(content)) as tiff:
        tag = tiff.pages[0].tags.get(TAG) if len(tiff.pages) else None
        if tag is None:
            return content, UPRIGHT
        order: Literal["little", "big"] = "little" if tiff.byteorder == "<" else "big"
        offset, size = tag.valueoffset, 2 if tag.dtype == 3 else 4
        return content[:offset] + UPRIGHT.to_bytes(size, order) + content[offset + size :], valid(tag.value)


def stated(exif: bytes, xmp: bytes | str = b"") -> int:
    """The orientation that EXIF names; where it names none, XMP's, as other programs take it; else 1."""
    if value := _of_exif(exif).get(TAG):
        return valid(value)
    text = xmp.encode() if isinstance(xmp, str) else xmp
    match = re.search(rb"tiff:Orientation(?:=\"|>)([1-8])", text)
    return valid(int(match[1])) if match else UPRIGHT


def exif_saying(exif: bytes, orientation: int) -> bytes:
    """EXIF that names this orientation: as it is where it does already."""
    if stated(exif) == orientation:
        return exif
    changed = _of_exif(exif)
    changed[TAG] = orientation
    return changed.tobytes()


def exif_describing(exif: bytes) -> bytes:
    """Of EXIF what describes the picture: orientation and colour space. Nothing where it names neither."""
    entries, kept = _of_exif(exif), Pillow.Exif()
    if (orientation := stated(exif)) != UPRIGHT:
        kept[TAG] = orientation
    try:
        space = entries.get_ifd(_EXIF_ENTRIES).get(_COLOUR_SPACE)
    except Exception:  # damaged: as in `_of_exif`
        space = None
    if isinstance(space, int) and 0 < space <= 0xFFFF:
        kept[_EXIF_ENTRIES] = {_COLOUR_SPACE: space}
    return kept.tobytes() if len(kept) else b""


def _of_exif(exif: bytes) -> Pillow.Exif:
    """Its entries; none where it is damaged, as Pillow raises whatever it likes."""
    entries = Pillow.Exif()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            entries.load(exif)
            entries.get(TAG)
    except Exception:
        return Pillow.Exif()
    return entries
