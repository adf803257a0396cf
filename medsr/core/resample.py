"""Resampling, always corner-aligned: images bicubic or Lanczos through Pillow, axes of volumes by cubic B-spline."""

from __future__ import annotations

from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow

Kernel = Literal["bicubic", "lanczos"]
_FILTERS = {"bicubic": Pillow.Resampling.BICUBIC, "lanczos": Pillow.Resampling.LANCZOS}


def resize(image: NDArray, size: tuple[int, int], kernel: Kernel) -> NDArray[np.float32]:
    """(height, width, channels) of any dtype to float32 of `size` = (height, width), values not clipped."""
    return np.stack([resize_plane(image[:, :, c], size, kernel) for c in range(image.shape[2])], axis=2)


def resize_plane(plane: NDArray, size: tuple[int, int], kernel: Kernel) -> NDArray[np.float32]:
    """`resize` of one channel, (height, width). The result cannot be written to."""
    height, width = size
    if height < 1 or width < 1:
        raise ValueError(f"cannot resize to {height}x{width}")
    large = Pillow.fromarray(np.ascontiguousarray(plane, np.float32)).resize((width, height), _FILTERS[kernel])
    return np.asarray(large, np.float32)


@lru_cache(maxsize=512)
def bspline_matrix(coarse: int, fine: int) -> NDArray[np.float64]:
    """(fine, coarse): interpolating cubic B-spline along one axis, `coarse` voxels to `fine` over the same length.

    Rows sum to 1. The border is mirrored at the voxels' outer edge. The same as scipy.ndimage.zoom of order 3 in grid
    mode, which is separable.
    """
    from scipy.ndimage import zoom

    if coarse == fine:
        result = np.eye(fine)
    elif coarse == 1:
        result = np.ones((fine, 1))
    else:
        impulses = np.eye(coarse)
        columns = [zoom(impulse, fine / coarse, order=3, mode="reflect", grid_mode=True) for impulse in impulses]
        result = np.stack(columns, axis=1)
    result.setflags(write=False)
    return result
