"""What the values of a mask mean: lesions or not. A scan, a photograph or a brain mask is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from medsr.core.errors import InputError
from medsr.core.types import Notify

Mask = NDArray[np.bool_]
FEW = 16
"""So many different values are the numbers of structures, whatever they are."""
WHITE = (255, 65535)
"""The largest value of 8 and of 16 bits: a picture with greys below it was scaled or compressed."""
DARK = 0.06
"""Of white: what compression leaves of black."""
BEYOND = 0.25
"""How far the values of a soft mask may lie outside 0 to 1: interpolation rings."""


def lesion_values(values: NDArray, path: Path, notify: Notify) -> Mask:
    """Where a mask of any number of axes holds a lesion. `path`: its file, for messages.

    Whole numbers are labels: every value above 0. Greys up to white and parts from 0 to 1 are soft: what is above
    half. `notify` is told of anything but two values, and where there is no lesion. Raises InputError for what is not a
    mask.
    """
    if not np.isfinite(values).all():
        raise InputError(f"{path}: values that are NaN or infinite; a mask holds 0 and 1")
    mask, note = _decided(values, path)
    if not mask.any():
        notify(f"{path}: no lesion in this mask")
    elif note:
        notify(f"{path}: {note}")
    return mask


def _decided(values: NDArray, path: Path) -> tuple[Mask, str]:
    smallest, largest = float(values.min()), float(values.max())
    if not _whole(values):
        if smallest < -BEYOND or largest > 1 + BEYOND:
            raise InputError(f"{path}: values from {smallest:.4g} to {largest:.4g}; a mask holds labels or 0 to 1")
        return values > 0.5, "a soft mask: what is above 0.5 counts as lesion"
    if smallest < 0:
        raise InputError(f"{path}: values down to {smallest:.4g}; in a mask 0 is no lesion and more is a lesion")
    different = np.unique(values)
    blurred = path.suffix.lower() in (".jpg", ".jpeg") and largest > WHITE[0] / 2
    if blurred or (len(different) > FEW and largest in WHITE):
        white = WHITE[0] if largest <= WHITE[0] else WHITE[1]
        if np.mean(values <= DARK * white) < 0.5:
            raise InputError(f"{path}: greys in more than half of it: a picture, not a mask")
        return values > white / 2, "greys: what is brighter than half counts as lesion"
    if len(different) > FEW and not _in_patches(values):
        raise InputError(f"{path}: {len(different)} values that differ from neighbour to neighbour: not a mask")
    labels = different[different > 0]
    return values > 0, f"{len(labels)} labels: all count as lesion" if len(labels) > 1 else ""


def _whole(values: NDArray) -> bool:
    return values.dtype.kind in "iub" or bool((values == np.rint(values)).all())


def _in_patches(values: NDArray) -> bool:
    """Whether neighbours that are both above 0 mostly are equal, as those of one structure."""
    equal = both = 0
    for axis in range(values.ndim):
        ahead, behind = np.moveaxis(values, axis, 0)[1:], np.moveaxis(values, axis, 0)[:-1]
        above = (ahead > 0) & (behind > 0)
        both += int(np.count_nonzero(above))
        equal += int(np.count_nonzero(above & (ahead == behind)))
    return equal >= both / 2
