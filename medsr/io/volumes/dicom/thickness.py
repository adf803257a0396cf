"""How thick the slices of a DICOM series are, and whether the header agrees with their positions."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from medsr.core.geometry import Grid
from medsr.io.volumes import thickness
from medsr.io.volumes.dicom import dose
from medsr.io.volumes.dicom.stack import Frame
from medsr.io.volumes.dicom.tags import value_of
from medsr.io.volumes.thickness import Stated


def of_frames(frames: list[Frame], affine: NDArray[np.float64]) -> Stated:
    """The thickness that the headers of a stack's slices state, and how far they agree with `affine`, index to mm.

    A dose grid has points, not slices.
    """
    first = frames[0]
    if first.dataset.SOPClassUID == dose.SOP_CLASS:
        return None, ()
    distance = thickness.distance_of(Grid((1, 1, 1), affine), 2)
    mm, notes = thickness.thickness_of([value_of(frame, "SliceThickness") for frame in frames])
    notes += thickness.about_distance(value_of(first, "SpacingBetweenSlices"), distance)
    if thickness.is_three_dimensional(value_of(first, "MRAcquisitionType"), value_of(first, "ImageType")):
        mm, about_interpolation = thickness.interpolated(mm, distance)
        notes += about_interpolation
    return mm, notes
