"""A picture for visitors who have none at hand: the fundus photograph that comes with scikit-image (public domain)."""

from __future__ import annotations

from functools import lru_cache
from io import BytesIO

SIDE = 564
"""Pixels, of the photograph's 1411: a fundus as large as DRIVE's. At full size it is too soft to be refined."""


@lru_cache(1)
def sample_png() -> bytes:
    """The sample as a PNG file: 8 bits, colour."""
    from PIL import Image
    from skimage.data import retina

    content = BytesIO()
    Image.fromarray(retina()).resize((SIDE, SIDE), Image.Resampling.LANCZOS).save(content, "PNG")
    return content.getvalue()
