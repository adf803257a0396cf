"""The one door to Pillow: allowed formats only, and no more pixels than the file's bytes may stand for."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from PIL import Image as Pillow

from medsr.core.errors import InputError
from medsr.io import expansion

LARGE = 600_000_000
"""Bytes that any picture may take while it is decoded: 100 million pixels of 16-bit colour, blank ones too."""
HELD = {"1": 2, "L": 2, "P": 5, "PA": 6, "I;16": 4, "I;16B": 4, "I": 8, "F": 8}
"""Bytes a pixel that Pillow and the array made of it take; a palette's colours come behind it."""
COLOURS = 8
WEBP = 20
"""Its decoder holds two canvases, and their bytes twice more."""


def check_size(decoded: float, stored: int, name: str) -> None:
    """Raise InputError for a picture that takes `decoded` bytes while it is read, of a file of `stored` bytes."""
    if decoded > LARGE and decoded > expansion.MOST_DENSE * stored:
        raise InputError(
            f"{name}: {stored / 1e6:.2g} MB would unpack to {decoded / 1e6:.0f} MB, {decoded / max(stored, 1):.0f} "
            "times as much; only empty pictures pack so well. If you trust it, save it as an uncompressed TIFF"
        )


@contextmanager
def opened(content: bytes, formats: tuple[str, ...], name: str, held: int | None = None) -> Iterator[Pillow.Image]:
    """The picture in a file's `content`, not decoded yet, of one of Pillow's `formats`.

    `held`: bytes that each of its pixels will take, where Pillow does not decode it.
    Raises InputError for one of far more pixels than its bytes can mean; what Pillow raises for others.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Pillow.DecompressionBombWarning)
        try:
            file = Pillow.open(io.BytesIO(content), formats=list(formats))
        except Pillow.DecompressionBombError as error:  # neither an OSError nor a ValueError
            most = 2 * (Pillow.MAX_IMAGE_PIXELS or 0)
            raise InputError(
                f"{name}: claims more than {most / 1e6:.0f} million pixels, which only TIFF, PGM and DICOM may have"
            ) from error
    with file:
        a_pixel = held or (WEBP if file.format == "WEBP" else HELD.get(file.mode, COLOURS))
        check_size(float(file.width) * file.height * a_pixel, len(content), name)
        yield file
