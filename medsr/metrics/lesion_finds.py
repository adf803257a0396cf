"""Blobs that a matched filter finds: the real lesions, and those that a result invents."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, generate_binary_structure, label, maximum_filter, minimum_filter

from medsr.core.types import Array

Mask = NDArray[np.bool_]
Values = NDArray[np.float64]
Positions = NDArray[np.float64]
SURROUND = 2.0
"""Width of the surround that is taken off the blob, in widths of the blob."""
FULL_WIDTH = float(np.sqrt(8 * np.log(2)))
"""Full width at half maximum of a Gaussian, in sigmas."""


def response(array: Array, template_size: float) -> Array:
    """How much of a bright blob there is at every pixel; a dark blob gives the same below 0.

    A matched filter: the product of the neighbourhood with a Gaussian whose full width at half maximum is
    `template_size`, less one of twice the width, so that the template's mean is 0 and it does not see brightness. A
    Gaussian blob of that width and the height 1 gives 1 in its centre. At its borders the array is mirrored.

    Args:
        array: (H, W) or (I, J, K).
        template_size: the blob's full width, in pixels or voxels, above 0.

    Returns:
        The same shape; the memory of three such arrays is needed.

    Raises:
        ValueError: no such array, no such size, or a value that is not finite.
    """
    if array.ndim not in (2, 3) or not 0 < template_size < np.inf:
        raise ValueError(f"an array of {array.shape} and a blob of {template_size:g} pixels")
    if not np.isfinite(array).all():
        raise ValueError("the array has values that are not finite")
    sigma = template_size / FULL_WIDTH
    values = np.asarray(array, np.float32)
    result = gaussian_filter(values, sigma, mode="mirror")
    result -= gaussian_filter(values, SURROUND * sigma, mode="mirror")
    result /= 2 ** (-array.ndim / 2) - (1 + SURROUND**2) ** (-array.ndim / 2)
    return result


def maxima(response: Array, where: Mask) -> tuple[Positions, Values]:
    """Local maxima of a response inside a mask: no neighbour, corners included, is higher.

    Neighbours of the same value count once. Where all around is level, there is no maximum.

    Returns:
        Positions as (n, d) indices, and the response there.
    """
    peaks = where & (response >= maximum_filter(response, 3)) & (response > minimum_filter(response, 3))
    parts, n = label(peaks, generate_binary_structure(response.ndim, response.ndim))
    _, first = np.unique(parts[peaks], return_index=True)
    positions = np.argwhere(peaks)[first]
    return positions.astype(np.float64).reshape(n, response.ndim), response[tuple(positions.T)].astype(np.float64)


def strongest(response: Array, centres: Positions, reach: float) -> Values:
    """The largest response within `reach` pixels of each centre, (n, d) indices inside the array."""
    values = []
    for centre in np.asarray(centres, np.float64).reshape(-1, response.ndim):
        low = np.maximum(np.ceil(centre - reach), 0).astype(int)
        window = response[tuple(slice(at, int(end) + 1) for at, end in zip(low, centre + reach, strict=True))]
        offsets = np.moveaxis(np.indices(window.shape), 0, -1) + low - centre
        values.append(window[(offsets**2).sum(-1) <= reach**2].max())
    return np.asarray(values, np.float64)


def reached_by_half(values: Values) -> float:
    """The highest threshold that at least half of the values reach; nan without values."""
    return float(np.quantile(values, 0.5, method="higher")) if len(values) else float("nan")


def threshold_for_half(response: Array, centres: Positions, reach: float) -> float:
    """The highest threshold that at least half of the real lesions reach.

    Args:
        response: as `response` gives it.
        centres: (n, d) indices of the real lesions, inside the array.
        reach: pixels round a centre within which the response counts for it, 0 or more.

    Returns:
        nan without lesions. For lesions of several arrays: `reached_by_half` of what `strongest` gives of each.
    """
    return reached_by_half(strongest(response, centres, reach))


def false_finds(response: Array, threshold: float, where: Mask, known: Positions, reach: float) -> Positions:
    """Maxima that reach the threshold, further than `reach` pixels from everything known.

    Args:
        response: as `response` gives it.
        threshold: least response that counts as a find.
        where: mask in which finds count.
        known: (n, d) positions of what is really there, any number.
        reach: pixels, 0 or more.

    Returns:
        (m, d) indices.

    Raises:
        ValueError: the threshold is not a number, as `threshold_for_half` gives it without lesions.
    """
    if np.isnan(threshold):
        raise ValueError("no threshold: there is no lesion that it could be taken from")
    positions, values = maxima(response, where)
    return away_from(positions[values >= threshold], known, reach)


def away_from(positions: Positions, known: Positions, reach: float) -> Positions:
    """Those of the positions, (n, d), that lie further than `reach` pixels from everything known, (m, d)."""
    if not len(known) or not len(positions):
        return positions
    from scipy.spatial import KDTree

    distances, _ = KDTree(known).query(positions)
    outside: Positions = positions[distances > reach]
    return outside
