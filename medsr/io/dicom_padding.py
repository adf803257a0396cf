"""Voxels of a DICOM scan that its header declares to be background: every slice by its own header."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from medsr.io.background import padding_of
from medsr.io.dicom_stack import Frame


def mask_of(frames: list[Frame], stored: NDArray) -> NDArray[np.bool_] | None:
    """(columns, rows, slices), true where the background is; None where there is none, or nothing else.

    `stored`: the slices of `frames`, one after the other; where they are floats, scaled by the rescale of each.
    """
    mask: NDArray[np.bool_] | None = None
    for k, frame in enumerate(frames):
        padding = padding_of(frame.dataset)
        if padding is None:
            continue
        if mask is None:
            mask = np.zeros(stored.shape, bool, order="F")
        low, high = padding
        if stored.dtype.kind == "f":  # the same sum as for the pixels, so that equal values stay equal
            slope, intercept = (np.float32(value) for value in frame.rescale)
            low, high = sorted(np.float32(end) * slope + intercept for end in padding)
        mask[:, :, k] = (stored[:, :, k] >= low) & (stored[:, :, k] <= high)
    return mask if mask is not None and mask.any() and not mask.all() else None
