"""The retina of a fundus photograph, without its vessels, its disc and its own bright spots."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import binary_dilation, distance_transform_edt, gaussian_filter

from medsr.core.types import Array
from medsr.lesions.coarse import Mask, enlarged, foreground, reduced
from medsr.metrics.vessels import Detector

SIDE = 640
"""Pixels along the longer side of the image it is found on."""
DIAMETER = 540.0
"""Pixels across the field of view that the sigmas below belong to: DRIVE's."""
SIGMAS = (1.5, 2.5, 3.5)
VESSELS = 0.15
"""Part of the field of view that looks most like vessels; readers mark 12 %."""
SPOTS, SPOT_SIGMA = 5.0, 10.0
"""Brighter than the surroundings by that many median deviations: exudates, drusen, reflexes."""
AROUND = 2.0
"""Pixels kept free around vessels and spots."""
EDGE, DISC_EDGE = 0.04, 0.05
"""Of the diameter: kept free along the edge of the field of view; where the middle of the disc cannot lie."""
DISC, DISC_SIGMAS = 0.12, (1 / 30, 1 / 6)
"""Of the diameter: the radius kept free around the middle of the disc; the sigmas that find it."""


def retina(truth: Array) -> Mask:
    """(H, W, C) in [0, 1] to where a small lesion could be; nothing where no field of view is found."""
    factor = max(1, round(max(truth.shape[:2]) / SIDE))
    coarse = reduced(truth, factor, 2)
    field_of_view = foreground(coarse.max(axis=-1))
    if not field_of_view.any():
        return np.zeros(truth.shape[:2], bool)
    diameter = 2 * np.sqrt(field_of_view.sum() / np.pi)
    depth = distance_transform_edt(np.pad(field_of_view, 1))[1:-1, 1:-1]
    inside = depth > EDGE * diameter
    if not inside.any():
        return np.zeros(truth.shape[:2], bool)
    nearest = tuple(distance_transform_edt(~inside, return_distances=False, return_indices=True))
    green = coarse[..., min(1, coarse.shape[-1] - 1)]
    unit = diameter / DIAMETER
    ridges = Detector("sato", tuple(unit * sigma for sigma in SIGMAS))(green, field_of_view)
    marked = (ridges > np.quantile(ridges[inside], 1 - VESSELS)) | _spots(green[nearest], inside, unit)
    marked = binary_dilation(marked, iterations=max(1, round(AROUND * unit)))
    disc = _disc(coarse.mean(axis=-1)[nearest], depth > DISC_EDGE * diameter, diameter)
    return enlarged(inside & ~marked & ~disc, factor, truth.shape[:2])


def _spots(green: Array, inside: Mask, unit: float) -> Mask:
    """Small bright spots."""
    above = green - gaussian_filter(green, SPOT_SIGMA * unit)
    spots: Mask = above > SPOTS * np.median(np.abs(above[inside]))
    return spots


def _disc(grey: Array, where: Mask, diameter: float) -> Mask:
    """Around the brightest broad spot."""
    fine, broad = (gaussian_filter(grey, sigma * diameter) for sigma in DISC_SIGMAS)
    row, column = np.unravel_index(np.where(where, fine - broad, -np.inf).argmax(), grey.shape)
    rows, columns = np.ogrid[: grey.shape[0], : grey.shape[1]]
    around: Mask = (rows - row) ** 2 + (columns - column) ** 2 < (DISC * diameter) ** 2
    return around
