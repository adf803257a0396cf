"""White matter of a brain, with or without the rest of the head, of any contrast."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import (
    binary_opening,
    distance_transform_edt,
    gaussian_filter,
    gaussian_filter1d,
    gaussian_gradient_magnitude,
    generate_binary_structure,
)

from medsr.core.types import Array
from medsr.lesions.coarse import Mask, enlarged, foreground, largest_parts, reduced

VOXEL = 2.0
"""mm: the grid it is found on."""
DEPTH, CORE = 12.0, 15.0
"""mm from the edge of what the volume shows: white matter is at least so deep, and most of what is deeper is such."""
HEIGHT = 130.0
"""mm from the top of the head, below which there is no brain."""
EVENEST = 0.35
"""Part of the core with the smallest gradients, whose most frequent intensity is taken for white matter's."""
EVEN = 0.4
"""Part of the core that is even enough for a lesion."""
NOISE = 0.12
"""A gradient up to this part of the range of intensities, for each voxel, is noise: where nothing else is, it counts
for even."""
LEVEL = 0.35
"""Intensities belong to white matter down to this part of their largest frequency."""
LEAST = 0.25
"""Parts smaller than this, compared with the largest, are left out: a hemisphere stays, a bit of a gyrus does not."""
BINS = 100


def white_matter(truth: Array, step: float) -> Mask:
    """(I, J, K), axes to right, anterior and superior, to where there is white matter; nothing where none is found.

    Deep within a head, the evenest tissue is white matter: cortex is thin and cerebrospinal fluid is folded. So its
    intensity is the most frequent one where gradients are small, whatever the contrast.
    """
    factor = max(1, round(VOXEL / step))
    coarse, voxel = reduced(truth, factor, 3), factor * step
    depth = _depth(coarse, voxel)
    core = depth > CORE
    if not core.any():
        return np.zeros(truth.shape, bool)
    gradient = gaussian_gradient_magnitude(coarse, 1.0)
    low, high = _range(coarse[core & (gradient < np.quantile(gradient[core], EVENEST))])
    smooth = gaussian_filter(coarse, 0.5)
    even = gradient < max(np.quantile(gradient[core], EVEN), NOISE * (high - low))
    alike = (depth > DEPTH) & even & (smooth > low) & (smooth < high)
    opened = binary_opening(alike, generate_binary_structure(3, 2))
    return enlarged(largest_parts(opened, LEAST), factor, truth.shape)


def _depth(coarse: Array, voxel: float) -> NDArray[np.float64]:
    """mm from the edge of the foreground; 0 outside and below the brain. Where the array cuts it is no edge."""
    inside = foreground(coarse)
    depth: NDArray[np.float64] = distance_transform_edt(inside) * voxel if inside.any() else np.zeros(coarse.shape)
    top = int(np.flatnonzero(inside.any(axis=(0, 1))).max(initial=0))
    depth[:, :, : max(top - round(HEIGHT / voxel), 0)] = 0
    return depth


def _range(values: Array) -> tuple[float, float]:
    """The intensities around the most frequent one, down to LEVEL of its frequency; an empty range of no values."""
    if values.size == 0 or values.min() == values.max():
        return np.inf, -np.inf
    counts, edges = np.histogram(values, BINS, tuple(np.quantile(values, (0.005, 0.995))))
    frequency = gaussian_filter1d(counts.astype(np.float64), 3)
    mode = int(frequency.argmax())
    rare = frequency < LEVEL * frequency[mode]
    below, above = np.flatnonzero(rare[:mode]), np.flatnonzero(rare[mode:])
    low = edges[below[-1] + 1] if below.size else edges[0]
    high = edges[mode + above[0]] if above.size else edges[-1]
    return float(low), float(high)
