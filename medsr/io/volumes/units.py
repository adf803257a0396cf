"""What the values of a scan are counted in: Hounsfield units where its header, or else its values, say CT."""

from __future__ import annotations

from typing import Any

from medsr.io.volumes.base import DICOM, Volume
from medsr.io.volumes.dicom.tags import value_of
from medsr.io.volumes.periodic import is_phase

HOUNSFIELD = "HU"
AIR = -500
"""Values below this mean Hounsfield units: no MRI has them."""


def unit_of(volume: Volume) -> str:
    """The name of the unit, empty where it is not known: the page and all reports go by this."""
    kind = value_of(volume.extra[0], "RescaleType") if volume.kind == DICOM and volume.extra else ""
    return HOUNSFIELD if may_be_hounsfield(kind) and is_ct(volume) else ""


def may_be_hounsfield(rescale_type: Any) -> bool:
    """Whether a header leaves room for Hounsfield units: not where rescaled values are densities or atomic numbers.

    Nothing and US (unspecified) mean them in CT (PS3.3 C.11.1.1.2).
    """
    return str(rescale_type or "").strip() in ("", "US", HOUNSFIELD)


def is_ct(volume: Volume) -> bool:
    """Whether the header says CT; where it says nothing, whether values reach down to air, and are not a phase."""
    if volume.modality or volume.signed:
        return volume.modality == "CT"
    return lowest(volume) < AIR and not is_phase(volume)


def lowest(volume: Volume) -> float:
    """The smallest value, in the scan's own units, background left out."""
    picture = volume.stored if volume.background is None else volume.stored[~volume.background]
    return min(float(end) * volume.slope + volume.intercept for end in (picture.min(), picture.max()))
