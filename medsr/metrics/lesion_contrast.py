"""Lesions of a mask: their sizes, and how each stands out from the tissue around it.

Nothing is eroded. The same voxels are measured before and after, so that partial volume at a lesion's edge weakens both
alike and cancels in their ratio. The edge is where resolution shows, and the smallest lesions have nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt, find_objects, generate_binary_structure, label

from medsr.core.types import Array

Mask = NDArray[np.bool_]
RING = (2.0, 4.0)
"""How far from a lesion the tissue lies that it is held against, in the unit of length: nearer is partial volume."""
REACH = 2.0
"""How far beyond its outline a lesion may spread, in the unit of length."""
FEWEST = 8
"""Voxels that a ring must have: the median of fewer is chance."""
SMALLEST = 3
"""Voxels of a lesion that stands out: one or two may be noise, or a slip of the reader's hand."""
MAD_TO_SIGMA = 1.4826
"""Median absolute deviation to standard deviation, of normally distributed values."""


@dataclass(frozen=True, eq=False)
class OutlinedLesion:
    """One connected part of a mask, and where it is measured.

    `size`: area or volume by the mask, in the unit of length squared or cubed. `voxel`: that of one pixel or voxel.
    `window`: a box of the whole array; within it `inside` (the lesion), `around` (the ring of tissue that it is held
    against) and `reach` (where it may spread: nearer to it than to any other lesion).
    """

    number: int
    size: float
    voxel: float
    window: tuple[slice, ...]
    inside: Mask
    around: Mask
    reach: Mask

    @property
    def centre(self) -> tuple[int, ...]:
        """Where in the whole array its middle is: of its own pixels or voxels the nearest to their centroid."""
        places = np.argwhere(self.inside)
        middle = places[((places - places.mean(axis=0)) ** 2).sum(axis=1).argmin()]
        return tuple(int(place + side.start) for place, side in zip(middle, self.window, strict=True))


@dataclass(frozen=True)
class Contrast:
    """`contrast`: mean of the lesion minus `around`, the median of the tissue around it. `spread`: of that tissue.

    All in the array's own unit; `spread` is a robust standard deviation (1.4826 times the median absolute deviation).
    """

    contrast: float
    around: float
    spread: float


def outlined_lesions(mask: Mask, step: float, tissue: Mask | None = None) -> list[OutlinedLesion]:
    """The lesions of an (H, W) or (I, J, K) mask: parts that touch, also at corners (8 or 26 neighbours), in order.

    `step`: unit of length from one pixel or voxel to the next. `tissue`: where rings may lie, None for everywhere; no
    ring lies within `RING[0]` of any lesion.
    """
    parts, _ = label(mask, generate_binary_structure(mask.ndim, mask.ndim))
    margin = int(np.ceil((RING[1] + RING[0]) / step)) + 1  # what keeps a ring away lies beyond it
    voxel = float(step) ** mask.ndim
    lesions = []
    for number, box in enumerate(find_objects(parts), 1):
        window = tuple(
            slice(max(0, side.start - margin), min(length, side.stop + margin))
            for side, length in zip(box, mask.shape, strict=True)
        )
        inside = parts[window] == number
        others = mask[window] & ~inside
        distance = distance_transform_edt(~inside, sampling=step)
        to_others = distance_transform_edt(~others, sampling=step) if others.any() else np.full(inside.shape, np.inf)
        around = (distance >= RING[0]) & (distance <= RING[1]) & (to_others >= RING[0])
        if tissue is not None:
            around &= tissue[window]
        reach = (distance <= REACH) & (distance < to_others)
        lesions.append(OutlinedLesion(number, int(inside.sum()) * voxel, voxel, window, inside, around, reach))
    return lesions


def contrast(array: Array, lesion: OutlinedLesion) -> Contrast | None:
    """Of one lesion in an (H, W) or (I, J, K) array; None where too little tissue is around it to tell."""
    values = array[lesion.window]
    ring = values[lesion.around]
    if ring.size < FEWEST:
        return None
    around = float(np.median(ring))
    spread = MAD_TO_SIGMA * float(np.median(np.abs(ring - around)))
    return Contrast(float(values[lesion.inside].mean(dtype=np.float64)) - around, around, spread)


def extent(array: Array, lesion: OutlinedLesion, around: float, true_contrast: float) -> float:
    """How much of the lesion is seen: area or volume, in the unit of `OutlinedLesion.size`, that lies on the lesion's
    side of `around` by more than half of `true_contrast`.

    `around`: the median of the tissue around it in this array. `true_contrast`: that of the ground truth. So half of
    the true contrast is the threshold in every array: an erased lesion has extent 0, an exaggerated one more than the
    truth. It is counted within `REACH` of the outline.
    """
    above = (array[lesion.window][lesion.reach] - around) * np.sign(true_contrast)
    return int(np.count_nonzero(above > abs(true_contrast) / 2)) * lesion.voxel


def stands_out(lesion: OutlinedLesion, true: Contrast) -> bool:
    """Whether it can be said what is kept of a lesion: it has 3 voxels or more, and it differs from the tissue around
    it by more than that tissue varies. `true`: its contrast in the ground truth."""
    return bool(np.count_nonzero(lesion.inside) >= SMALLEST) and abs(true.contrast) > true.spread
