"""The window that a DICOM series asks to be shown with."""

from __future__ import annotations

from typing import Any

import numpy as np

from medsr.io.dicom.window import black_and_white
from medsr.io.volumes.base import DICOM, Volume
from medsr.io.volumes.dicom.stack import Frame
from medsr.io.volumes.dicom.tags import value_of


def shown_range(volume: Volume) -> tuple[float, float] | None:
    """What is black and what is white, in the scan's own units (HU for CT): the first window of each slice's header.

    Where slices ask for different ones, the median. None where no header states one that can be used.
    """
    if volume.kind != DICOM or not volume.extra:
        return None
    ranges = [ends for frame in volume.extra if (ends := _range_of(frame)) is not None]
    if not ranges:
        return None
    low, high = np.median(np.array(ranges), axis=0)
    return float(low), float(high)


def _range_of(frame: Frame) -> tuple[float, float] | None:
    centres, widths = (_numbers(value_of(frame, keyword)) for keyword in ("WindowCenter", "WindowWidth"))
    return black_and_white(centres, widths, str(value_of(frame, "VOILUTFunction") or ""))


def _numbers(value: Any) -> list[float]:
    """One number or several; none where one of them is not a number."""
    try:
        return [float(number) for number in (value if isinstance(value, tuple) else (value,))]
    except (TypeError, ValueError):
        return []
