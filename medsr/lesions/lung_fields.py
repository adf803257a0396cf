"""Lung fields of a chest radiograph, frontal."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from scipy.ndimage import binary_fill_holes, distance_transform_edt, gaussian_filter, label

from medsr.core.types import Array
from medsr.lesions.coarse import Mask, enlarged, reduced

SIDE = 256
"""Pixels along the longer side of the image it is found on."""
BLUR, OPENING = 2.0, 4
"""Pixels of that image: sigma of the blur, radius of the disc that cuts a lung from what it touches."""
EXPOSED = 0.03
"""Darker than this, nothing was exposed or all air is around the patient."""
THRESHOLDS = np.linspace(0.08, 0.7, 32)
"""Quantiles of the exposed pixels. No single one fits both lungs of every image."""
MARGIN = 5.0
"""mm within the edge of a lung that are left out."""
AREAS, HEIGHTS, WIDTHS, MIDDLES = (0.025, 0.25), (0.25, 0.9), (0.1, 0.5), (0.15, 0.75)
"""A lung's area, height, width and the height of its middle from above, in parts of the image's."""
SOLIDITY, EXTENT = 0.75, 0.8
"""A lung fills at least that of its convex hull, and at most that of its box: a marker's plate fills all."""
APART, LEVEL, RATIO = 0.2, 0.2, 4.0
"""Of two lungs: how far apart at least, at how different heights at most, how much larger one is at most."""


@dataclass(frozen=True, eq=False)
class _Part:
    """A dark part that could be a lung. `score`: its area, less where its outline is ragged."""

    mask: Mask
    area: float
    score: float
    middle: tuple[float, float]
    left: int
    right: int


def lung_fields(truth: Array, step: float) -> Mask:
    """(H, W, C) in [0, 1], air dark, to where the lungs are, without their edges; nothing where none is found.

    Every threshold gives dark parts; those of a lung's size, form and place that do not reach the border are
    candidates. Of all thresholds together the largest two that can be a pair are taken, or else the largest one.
    """
    factor = max(1, round(max(truth.shape[:2]) / SIDE))
    coarse = reduced(truth, factor, 2).mean(axis=-1)
    unit = max(coarse.shape) / SIDE
    smooth = gaussian_filter(coarse, BLUR * unit)
    lungs = np.zeros(coarse.shape, bool)
    for part in _best(list(_candidates(smooth, round(OPENING * unit)))):
        lungs |= binary_fill_holes(part.mask)
    within = distance_transform_edt(lungs) * (factor * step) > MARGIN
    return enlarged(within, factor, truth.shape[:2])


def _candidates(smooth: Array, radius: int) -> Iterator[_Part]:
    from skimage.measure import regionprops
    from skimage.morphology import disk, opening

    exposed = smooth[smooth > EXPOSED]
    height, width = smooth.shape
    for threshold in np.unique(np.quantile(exposed, THRESHOLDS)) if exposed.size else ():
        parts, _ = label(opening(smooth < threshold, disk(radius)))
        for region in regionprops(parts):
            top, left, bottom, right = region.bbox
            middle = region.centroid[0] / height, region.centroid[1] / width
            if min(top, left) == 0 or bottom == height or right == width:
                continue
            fits = (
                AREAS[0] < region.area / (height * width) < AREAS[1]
                and HEIGHTS[0] < (bottom - top) / height < HEIGHTS[1]
                and WIDTHS[0] < (right - left) / width < WIDTHS[1]
                and MIDDLES[0] < middle[0] < MIDDLES[1]
                and region.extent < EXTENT
                and region.solidity > SOLIDITY
            )
            if fits:
                score = region.area * region.solidity**2
                yield _Part(parts == region.label, region.area, score, middle, left, right)


def _best(parts: list[_Part]) -> list[_Part]:
    """The pair with the highest geometric mean of its scores; without a pair the one with the highest score."""
    pairs = [sorted(pair, key=lambda part: part.middle[1]) for pair in combinations(parts, 2)]
    pairs = [pair for pair in pairs if _is_pair(*pair)]
    if pairs:
        return max(pairs, key=lambda pair: pair[0].score * pair[1].score)
    return [max(parts, key=lambda part: part.score)] if parts else []


def _is_pair(left: _Part, right: _Part) -> bool:
    areas = left.area, right.area
    return (
        right.middle[1] - left.middle[1] > APART
        and abs(right.middle[0] - left.middle[0]) < LEVEL
        and left.right <= right.left + left.mask.shape[1] // 20
        and max(areas) < RATIO * min(areas)
    )
