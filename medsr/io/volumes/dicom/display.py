"""The window that a DICOM series asks to be shown with."""

from __future__ import annotations

from math import isfinite
from typing import Any

import numpy as np

from medsr.io.volumes.base import DICOM, Volume
from medsr.io.volumes.dicom.stack import Frame
from medsr.io.volumes.dicom.tags import value_of


def shown_range(volume: Volume) -> tuple[float, float] | None:
    """What is black and what is white, in the scan's own units (HU for CT): the first window of each slice's header.

    Where slices ask for different ones, the median. None where no header states one that is wide enough to be used.
    Source: PS3.3 C.11.2.1.2, the functions LINEAR (which is meant where none is named) and LINEAR_EXACT.
    """
    if volume.kind != DICOM or not volume.extra:
        return None
    ranges = [ends for frame in volume.extra if (ends := _range_of(frame)) is not None]
    if not ranges:
        return None
    low, high = np.median(np.array(ranges), axis=0)
    return float(low), float(high)


def _range_of(frame: Frame) -> tuple[float, float] | None:
    centre, width = _first(value_of(frame, "WindowCenter")), _first(value_of(frame, "WindowWidth"))
    if centre is None or width is None or width <= 1:
        return None
    if value_of(frame, "VOILUTFunction") == "LINEAR_EXACT":
        return centre - width / 2, centre + width / 2
    return centre - 0.5 - (width - 1) / 2, centre - 0.5 + (width - 1) / 2


def _first(value: Any) -> float | None:
    """The first of several numbers; None where it is none."""
    first = value[0] if isinstance(value, tuple) and value else value
    try:
        number = float(first)
    except (TypeError, ValueError):
        return None
    return number if isfinite(number) else None
