"""Ultrasound regions (PS3.3 C.8.5.5), scaled to the new pixels."""

from __future__ import annotations

from functools import partial
from typing import Any

from medsr.io.dicom.values import Scale, numbers_of, only, replace, rounded

REGION_FIRST = {"RegionLocationMinX0": 1, "RegionLocationMinY0": 0}
REGION_LAST = {"RegionLocationMaxX1": 1, "RegionLocationMaxY1": 0}
REGION_POINTS = {
    "DopplerSampleVolumeXPosition": 1,
    "DopplerSampleVolumeYPosition": 0,
    "TMLinePositionX0": 1,
    "TMLinePositionY0": 0,
    "TMLinePositionX1": 1,
    "TMLinePositionY1": 0,
}
"""Pixels counted from 0; 1: a column, 0: a row."""


def rescale_region(region: Any, scale: Scale, left_out: list[str]) -> None:
    """One ultrasound region. Its pixels are counted from 0, its reference pixel from its own corner."""
    for axis, name in ((1, "X"), (0, "Y")):
        replace(region, f"PhysicalDelta{name}", partial(_per_pixel, scale[axis]), left_out)
        _move_reference(region, name, scale[axis], left_out)
    for keywords, change in ((REGION_FIRST, _first), (REGION_LAST, _last), (REGION_POINTS, _centre)):
        for keyword, axis in keywords.items():
            replace(region, keyword, partial(change, scale[axis]), left_out)


def _per_pixel(factor: float, old: list[float]) -> list[Any]:
    return [only(old) / factor]


def _first(factor: float, old: list[float]) -> list[Any]:
    return [rounded(only(old) * factor)]


def _last(factor: float, old: list[float]) -> list[Any]:
    return [rounded((only(old) + 1) * factor) - 1]


def _centre(factor: float, old: list[float]) -> list[Any]:
    return [rounded((only(old) + 0.5) * factor - 0.5)]


def _move_reference(region: Any, name: str, factor: float, left_out: list[str]) -> None:
    """The reference pixel is a whole one: what rounding moves it by is added to its physical value."""
    pixel, value = f"ReferencePixel{name}0", f"ReferencePixelPhysicalValue{name}"
    try:
        old, step = numbers_of(region, pixel), numbers_of(region, f"PhysicalDelta{name}")
    except ValueError:
        old = step = None
    if old and len(old) == 1 and step and len(step) == 1:
        exact = (old[0] + 0.5) * factor - 0.5
        moved = (rounded(exact) - exact) * step[0]
        replace(region, value, lambda numbers: [only(numbers) + moved], left_out)
    replace(region, pixel, partial(_centre, factor), left_out)
