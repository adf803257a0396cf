"""Voxels of a DICOM scan that its header declares to be background: every slice by its own header."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from medsr.io.images.background import padding_of
from medsr.io.volumes.dicom.stack import Frame

LEAST_GAP = 0.05
"""Of an MR scan's range, between its values and its background: with less they are one."""


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
        low: float | np.float32
        high: float | np.float32
        low, high = padding
        if stored.dtype.kind == "f":  # the same sum as for the pixels, so that equal values stay equal
            slope, intercept = (np.float32(value) for value in frame.rescale)
            low, high = sorted(np.float32(end) * slope + intercept for end in padding)
        mask[:, :, k] = (stored[:, :, k] >= low) & (stored[:, :, k] <= high)
    if mask is None or not mask.any() or mask.all():
        return None
    return None if _is_air(frames, stored, mask) else mask


def _is_air(frames: list[Frame], stored: NDArray, mask: NDArray[np.bool_]) -> bool:
    """Whether the background of an MR scan is where its own values begin, as zeros are below the noise of air.

    There is no cliff that a spline or a network could ring at; and what is cut out by the voxel, where air belongs
    beside a head, would leave steps in its outline.
    """
    if str(frames[0].dataset.get("Modality", "")) != "MR":
        return False
    low, high = np.percentile(stored[~mask], (0.1, 99.9))
    values = stored[mask]
    gap = max(low - values.max(), values.min() - high, 0)
    return bool(gap < LEAST_GAP * (high - low))
