"""Where an image shows something: its field of view or foreground."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_fill_holes, label

Mask = NDArray[np.bool_]
FOREGROUND = 0.05
"""From this part of full range on a pixel is foreground."""


def foreground(unit: NDArray) -> Mask:
    """(H, W, C) in [0, 1] to (H, W): the largest connected part brighter than 5 % in any channel, its holes filled.

    Of a volume, (I, J, K, 1), too. Everything where nothing is that bright. Of a fundus photograph this is the field of
    view, of a radiograph what the collimator left.
    """
    bright = unit.max(axis=-1) > FOREGROUND
    parts, count = label(bright)
    if count == 0:
        return np.ones(bright.shape, bool)
    largest = 1 + int(np.argmax(np.bincount(parts.ravel())[1:]))
    filled: Mask = binary_fill_holes(parts == largest)
    return filled
