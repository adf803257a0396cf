"""How values are shown at first, and in which units: the header's window where there is one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medsr.io.dicom.values import numbers_of
from medsr.io.dicom.window import window_of
from medsr.io.images.base import DICOM, Image
from medsr.io.volumes.base import Volume
from medsr.io.volumes.dicom.display import shown_range
from medsr.io.volumes.units import may_be_hounsfield, unit_of

SOFT_TISSUE = (-160.0, 240.0)
"""HU shown as black and white where a CT's header names no window: level 40, width 400."""


@dataclass(frozen=True)
class Display:
    """Values, in their own units, shown as black and white; their range (0.5 to 99.5 percentile); the unit's name."""

    low: float
    high: float
    range: float
    unit: str


@dataclass(frozen=True)
class StoredDisplay:
    """Stored values shown as black and white; a value is `stored * slope + intercept`, in the unit of that name."""

    low: float
    high: float
    slope: float = 1.0
    intercept: float = 0.0
    unit: str = ""


def of_volume(scan: Volume) -> Display:
    """For a scan's first volume."""
    first: NDArray = scan.stored[..., 0] if scan.stored.ndim == 4 else scan.stored
    low, high = sorted(value * scan.slope + scan.intercept for value in percentiles(first))
    unit, window = unit_of(scan), shown_range(scan)
    if window is None:
        window = SOFT_TISSUE if unit else (low, high + 0.08 * (high - low))
    return Display(*window, range=high - low, unit=unit)


def of_image(image: Image) -> StoredDisplay:
    """For an image: its header's window, soft tissue for CT, else all of 8 bits and colours, else most."""
    header: Any = image.extra.get("dataset", {}) if image.kind == DICOM and image.pixels.shape[2] == 1 else {}
    rescaling = _rescaling(header)
    slope, intercept = rescaling or (1.0, 0.0)
    unit = ""
    stated = rescaling is not None and "RescaleIntercept" in header  # not in what was photographed from a screen
    if stated and may_be_hounsfield(header.get("RescaleType")):
        unit = unit_of(Volume(image.pixels, np.eye(4), "", slope, intercept, modality=image.modality))
    window = window_of(header) if rescaling is not None else None
    if window is None and unit:
        window = SOFT_TISSUE
    if window is not None:
        low, high = ((value - intercept) / slope for value in window)
    elif image.pixels.dtype.itemsize == 1 or image.pixels.shape[2] == 3:
        low, high = image.window.low, image.window.high
    else:
        low, high = percentiles(image.pixels)
    return StoredDisplay(low, high, slope, intercept, unit) if unit else StoredDisplay(low, high)


def percentiles(values: NDArray) -> tuple[float, float]:
    """The 0.5 and 99.5 percentile, or the ends where both agree; of every n-th value where there are millions."""
    part = values.reshape(-1)[:: max(1, values.size // 2_000_000)]
    low, high = (float(value) for value in np.percentile(part, (0.5, 99.5)))
    if high <= low:
        low, high = float(values.min()), float(values.max())
    return low, high if high > low else low + 1.0


def _rescaling(dataset: Any) -> tuple[float, float] | None:
    """Slope and intercept; None for those that turn black to white, or are not numbers."""
    try:
        slopes, intercepts = (numbers_of(dataset, keyword) for keyword in ("RescaleSlope", "RescaleIntercept"))
    except ValueError:
        return None
    slope, intercept = (slopes or [1.0])[0], (intercepts or [0.0])[0]
    return (slope, intercept) if slope > 0 and np.isfinite([slope, intercept]).all() else None
