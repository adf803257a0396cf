"""How bright one stack is beside another: receivers' gains differ from scan to scan."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from medsr.core.geometry import Grid
from medsr.core.types import Array
from medsr.volumes.stacks.on_grid import interpolated, weight

STEP, BLUR = 3.0, 2.0
"""mm of the voxels on which brightness is compared, and voxels of blur: so all stacks resolve about the same there."""
BODY = 0.1
TRIMMED = 0.05
"""Of the compared voxels, the share at either end of the ratios that does not count."""


@dataclass(frozen=True)
class Match:
    """A stack's values are about the first's times `gain` plus `offset`."""

    gain: float = 1.0
    offset: float = 0.0


def match(first: Array, other: Array, grids: tuple[Grid, Grid], motion: NDArray[np.float64]) -> Match:
    """Of the values of two scans on their `grids`, in the body that both show; none where there is too little of it.

    Magnitudes have no offset: the gain is that of the sums of squares, so that the noise of neither favours one. Where
    values are negative, an offset is found as well.
    """
    first_blurred, other_blurred, shared = _overlap(first, other, grids, motion)
    if np.count_nonzero(shared) < 50:
        return Match()
    a, b = first_blurred[shared], other_blurred[shared]
    if min(first.min(), other.min()) < 0:
        gain = float(b.std() / a.std()) if a.std() > 0 else 1.0
        gain_match = Match(gain, float(b.mean() - gain * a.mean()))
    else:
        low, high = np.quantile(b / a, (TRIMMED, 1 - TRIMMED))
        kept = (b / a >= low) & (b / a <= high)
        gain_match = Match(float(np.sqrt((b[kept] ** 2).sum() / (a[kept] ** 2).sum())))
    return gain_match if 0 < gain_match.gain < np.inf else Match()


def _overlap(
    first: Array, other: Array, grids: tuple[Grid, Grid], motion: NDArray[np.float64]
) -> tuple[Array, Array, NDArray[np.bool_]]:
    """Both scans blurred on one coarse grid, and where both show the body.

    Only what both show is blurred (normalised convolution): what one of them sees beyond the other's border would
    make it brighter or darker there.
    """
    i, j, k = (max(2, round(n * s / STEP)) for n, s in zip(grids[0].shape, grids[0].spacing, strict=True))
    coarse = grids[0].on((i, j, k))
    inside = (weight(grids[1], coarse, motion) > 0).astype(np.float32)
    support = gaussian_filter(inside, BLUR, mode="constant")
    blurred = []
    for values, grid, own_motion in ((first, grids[0], np.eye(4)), (other, grids[1], motion)):
        placed = interpolated(values, grid, coarse, own_motion) * inside
        blurred.append(gaussian_filter(placed, BLUR, mode="constant") / np.maximum(support, 1e-6))
    shared = inside > 0
    for values in blurred:
        shared &= values > max(0.0, BODY * float(np.percentile(values[inside > 0], 99.5)) if shared.any() else 0.0)
    return blurred[0], blurred[1], shared
