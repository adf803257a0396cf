"""Radiotherapy dose (RTDOSE): the planes of one file, by the offsets and the scaling that only such objects have."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medsr.core.errors import InputError
from medsr.io.dicom.values import numbers_of
from medsr.io.volumes.dicom.stack import Frame, Open

SOP_CLASS = "1.2.840.10008.5.1.4.1.1.481.2"


def frames_of(name: str, opener: Open, dataset: Any) -> Iterator[Frame]:
    """The planes of a dose grid, in the units that its header names. Raises InputError where they have no place."""
    try:
        position, cosines, spacing, offsets, scaling = (
            numbers_of(dataset, keyword) or []
            for keyword in (
                *("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "GridFrameOffsetVector"),
                "DoseGridScaling",
            )
        )
    except ValueError as error:
        raise InputError(f"{name}: a dose grid whose {error} is damaged") from error
    frames = int(dataset.get("NumberOfFrames") or 1)
    if len(position) != 3 or len(cosines) != 6 or len(spacing) != 2 or min(spacing) <= 0:
        raise InputError(f"{name}: a dose grid without position, orientation or PixelSpacing")
    if len(offsets) != frames:
        raise InputError(f"{name}: a dose grid of {frames} planes and {len(offsets)} places (GridFrameOffsetVector)")
    if len(scaling) != 1 or scaling[0] <= 0:
        raise InputError(f"{name}: a dose grid without DoseGridScaling: what its values mean is not known")
    for index, frame_position in enumerate(_places(name, np.array(position), np.array(cosines), np.array(offsets))):
        steps = spacing[0], spacing[1]
        yield Frame(name, opener, dataset, index, frame_position, np.array(cosines), steps, (scaling[0], 0.0))


def _places(
    name: str, first: NDArray[np.float64], cosines: NDArray[np.float64], offsets: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Where the planes lie. Offsets are along the normal, from the first plane; or z itself of axial planes."""
    if offsets[0] != 0:
        if not np.allclose(np.abs(cosines), [1, 0, 0, 0, 1, 0], atol=1e-4):
            raise InputError(f"{name}: a dose grid whose GridFrameOffsetVector does not begin at 0, in oblique planes")
        return np.array([[first[0], first[1], z] for z in offsets])
    normal = np.cross(cosines[:3], cosines[3:])
    return np.array([first + offset * normal for offset in offsets])
