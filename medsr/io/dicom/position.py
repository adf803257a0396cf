"""Where the first pixel lies: new pixels tile the old box, so its centre moves by half the spacings' difference."""

from __future__ import annotations

from typing import Any

import numpy as np

from medsr.io.dicom.values import Scale, decimal, items, numbers_of, replace

PLAIN_RT = [1.0, 0.0, 0.0, 0.0, -1.0, 0.0]


def shift_positions(dataset: Any, scale: Scale, left_out: list[str]) -> None:
    """Move, in place, the position of a slice, of every frame and of a radiotherapy image.

    Spacings must still be the old ones.
    """
    shared = (items(dataset, "SharedFunctionalGroupsSequence") or [None])[0]
    for group in [shared, *items(dataset, "PerFrameFunctionalGroupsSequence")]:
        for plane in items(group, "PlanePositionSequence") if group is not None else []:
            sources = [source for source in (group, shared, dataset) if source is not None]
            spacing = _of(sources, "PixelMeasuresSequence", "PixelSpacing", 2)
            cosines = _of(sources, "PlaneOrientationSequence", "ImageOrientationPatient", 6)
            _shift(plane, "ImagePositionPatient", _step(spacing, cosines, scale), left_out)
    cosines = _of([dataset], "", "ImageOrientationPatient", 6)
    _shift(dataset, "ImagePositionPatient", _step(_of([dataset], "", "PixelSpacing", 2), cosines, scale), left_out)
    cosines = _of([dataset], "", "RTImageOrientation", 6) or PLAIN_RT
    spacing = _of([dataset], "", "ImagePlanePixelSpacing", 2)
    _shift(dataset, "RTImagePosition", _step(spacing, cosines, scale), left_out)


def _of(sources: list[Any], group: str, keyword: str, count: int) -> list[float] | None:
    """The numbers of the first source that has them, in its functional group or as its own; None: none, or damaged."""
    for source in sources:
        for item in [*(items(source, group) if group else []), source]:
            try:
                numbers = numbers_of(item, keyword)
            except ValueError:
                return None
            if numbers:
                return numbers if len(numbers) == count else None
    return None


def _step(spacing: list[float] | None, cosines: list[float] | None, scale: Scale) -> np.ndarray | None:
    """Millimetres from the first old pixel's centre to the first new one's; None where it is not known."""
    if spacing is None or cosines is None or min(spacing) <= 0:
        return None
    across, down = spacing[1] * (1 / scale[1] - 1) / 2, spacing[0] * (1 / scale[0] - 1) / 2
    step: np.ndarray = np.array(cosines[:3]) * across + np.array(cosines[3:]) * down
    return step


def _shift(dataset: Any, keyword: str, step: np.ndarray | None, left_out: list[str]) -> None:
    def change(old: list[float]) -> list[Any]:
        if len(old) != (2 if keyword == "RTImagePosition" else 3):
            raise ValueError("another number of values expected")
        return old if step is None else [decimal(value + by) for value, by in zip(old, step, strict=False)]

    if step is not None:
        replace(dataset, keyword, change, left_out)
