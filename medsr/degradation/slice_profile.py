"""Thick slices: what a scanner with a given slice profile makes of a finer volume, one axis at a time.

An axis of `fine` voxels becomes one of `coarse` voxels over the same length (corner-aligned). Each coarse voxel is the
mean of the fine ones under its slice profile, so that the whole operation is a matrix for every axis: mean
downsampling (P2) is the box profile as wide as the slice spacing.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from medsr.core.resample import bspline_matrix

Profile = Literal["box", "gaussian"]
_SIGMA_PER_FWHM = 1 / np.sqrt(8 * np.log(2))


@lru_cache(maxsize=512)
def matrix(fine: int, coarse: int, profile: Profile = "box", width: float = 1.0) -> NDArray[np.float64]:
    """(coarse, fine), rows summing to 1: fine voxels along an axis to coarse ones.

    `width` is in coarse voxels: of the box, or the full width at half maximum of the Gaussian. Where the box ends
    within a fine voxel, that voxel is taken as sloping between its neighbours (a finite-volume reconstruction), so
    that a ramp in space stays that ramp at any real factor. Raises ValueError when coarse exceeds fine or the width
    is not positive.
    """
    if not 1 <= coarse <= fine or not width > 0:
        raise ValueError(f"no slice profile takes {fine} voxels to {coarse} with width {width}")
    factor = fine / coarse
    result = at((np.arange(coarse) + 0.5) * factor, width * factor, fine, profile)
    result.setflags(write=False)
    return result


def at(centres: NDArray, width: float, fine: int, profile: Profile = "box") -> NDArray[np.float64]:
    """(len(centres), fine), rows summing to 1: what slices anywhere see of `fine` voxels along an axis.

    `centres` and `width` are in fine voxels from the beginning of the first one. What lies outside counts for nothing.
    """
    weights: NDArray[np.float64]
    if profile == "box":
        weights = _up_to(centres + width / 2, fine) - _up_to(centres - width / 2, fine)
    else:
        from scipy.special import erf  # a third of a second that images need not wait for

        edges = np.arange(fine + 1) - centres[:, None]
        weights = np.diff(erf(edges / (np.sqrt(2) * _SIGMA_PER_FWHM * width)), axis=1)
    weights[np.abs(weights) < 1e-12] = 0.0
    sums = weights.sum(axis=1, keepdims=True)
    return weights / np.where(sums > 0, sums, 1)


def _up_to(edges: NDArray, fine: int) -> NDArray[np.float64]:
    """(len(edges), fine): weights of the integral from 0 to each edge, both in fine voxels."""
    edges = np.clip(np.round(edges, 9), 0, fine)
    cell = np.minimum(edges.astype(int), fine - 1)
    share = edges - cell
    rows = np.arange(len(edges))
    weights: NDArray[np.float64] = (np.arange(fine) < cell[:, None]).astype(np.float64)
    weights[rows, cell] += share
    after, before = np.minimum(cell + 1, fine - 1), np.maximum(cell - 1, 0)
    slope = (share**2 - share) / 2 / np.maximum(after - before, 1)
    np.add.at(weights, (rows, after), slope)
    np.add.at(weights, (rows, before), -slope)
    return weights


@lru_cache(maxsize=256)
def consistent_spline(
    fine: int, coarse: int, profile: Profile = "box", width: float = 1.0, easing: float = 0.0
) -> NDArray[np.float64]:
    """(fine, coarse): the cubic B-spline that returns the acquired values when acquired again with that profile.

    S = M (A'A + e)^-1 (A' + e) with D the slice profile's matrix, M the interpolating B-spline, A = D M and e the
    `easing`. With 0 it is M A^-1, so that D S = 1: what iterative back-projection (Irani and Peleg 1991) of the
    B-spline converges to, in one step. That also multiplies the noise in all that the profile has weakened. With a
    larger easing (Tikhonov's, towards the plain B-spline) it agrees less closely and multiplies less; without limit it
    is M. Raises numpy.linalg.LinAlgError where nothing but an easing makes it possible.
    """
    if fine == coarse and profile == "box" and width == 1.0:
        return bspline_matrix(coarse, fine)
    interpolate = bspline_matrix(coarse, fine)
    acquired = matrix(fine, coarse, profile, width) @ interpolate
    if easing:
        ease = easing * np.eye(coarse)
        values = np.linalg.solve(acquired.T @ acquired + ease, acquired.T + ease)
    else:
        values = np.linalg.inv(acquired)
    result: NDArray[np.float64] = interpolate @ values
    result.setflags(write=False)
    return result
