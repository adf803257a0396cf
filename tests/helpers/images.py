"""Small images and their files."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from medsr.core.intensity import Window
from medsr.io.images import image as image_io


def write_png(path: Path, pixels: np.ndarray) -> Path:
    """An 8- or 16-bit PNG through medsr's own writer."""
    pixels = pixels[:, :, None] if pixels.ndim == 2 else pixels
    window = Window.of_bits(pixels.dtype.itemsize * 8)
    image_io.write(path, image_io.Image(np.ascontiguousarray(pixels), window, image_io.PNG))
    return path
