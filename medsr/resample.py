"""Bicubic and Lanczos resampling of float images, through Pillow: antialiased, corner-aligned, any size."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow

Kernel = Literal["bicubic", "lanczos"]
_FILTERS = {"bicubic": Pillow.Resampling.BICUBIC, "lanczos": Pillow.Resampling.LANCZOS}


def resize(image: NDArray, size: tuple[int, int], kernel: Kernel) -> NDArray[np.float32]:
    """(height, width, channels) of any dtype to float32 of `size` = (height, width), values not clipped."""
    height, width = size
    if height < 1 or width < 1:
        raise ValueError(f"cannot resize to {height}x{width}")
    planes = [
        Pillow.fromarray(np.ascontiguousarray(image[:, :, c], np.float32)).resize((width, height), _FILTERS[kernel])
        for c in range(image.shape[2])
    ]
    return np.stack([np.asarray(plane, np.float32) for plane in planes], axis=2)
