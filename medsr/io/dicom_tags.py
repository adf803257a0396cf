"""What the header of a slice says, wherever it is written, and the order in which slices were acquired."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any

from medsr.io.dicom_stack import Frame

COUNTED = (
    "AcquisitionNumber",
    "TriggerTime",
    "NominalPercentageOfCardiacPhase",
    "FrameReferenceTime",
    "EchoNumbers",
    "EchoTime",
    "DiffusionBValue",
)
"""What grows from volume to volume, where the numbers of the slices begin again with each."""


def value_of(frame: Frame, keyword: str) -> Hashable:
    """What a frame says under a keyword, wherever its functional groups hold it."""
    for sequence, item in (("PerFrameFunctionalGroupsSequence", frame.index), ("SharedFunctionalGroupsSequence", 0)):
        groups = frame.dataset.get(sequence)
        if groups and len(groups) > item:
            value = _within(groups[item], keyword)
            if value is not None:
                return _plain(value)
    return _plain(frame.dataset.get(keyword))


def _within(group: Any, keyword: str) -> Any:
    for element in group:
        if element.VR == "SQ" and element.value:
            inner = element.value[0]
            value = inner.get(keyword)
            if value is None and keyword == "DiffusionGradientOrientation":
                value = _within(inner, keyword)
            if value is not None:
                return value
    return None


def _plain(value: Any) -> Hashable:
    if value is None or isinstance(value, str):
        return str(value or "")
    if isinstance(value, Sequence) or hasattr(value, "__iter__"):
        return tuple(_plain(part) for part in value)
    try:
        return round(float(value), 4)
    except (TypeError, ValueError):
        return str(value)


def number_of(value: Any) -> float:
    """The value as a number, 0 where it is none."""
    try:
        return float(value)
    except (TypeError, ValueError):
        return 0.0


def instance_of(frame: Frame) -> tuple[float, int]:
    """The number of a slice within its series."""
    return number_of(frame.dataset.get("InstanceNumber")), frame.index


def order_of(frames: list[Frame]) -> tuple[Any, ...]:
    """Volumes and groups in the order of their numbers, as scanners count images in order of acquisition."""
    first = min(frames, key=instance_of)
    position = max(number_of(value_of(first, key)) for key in ("TemporalPositionIdentifier", "TemporalPositionIndex"))
    clock = str(first.dataset.get("AcquisitionDateTime") or first.dataset.get("AcquisitionTime") or "")
    values = [number_of(value_of(first, key)) for key in COUNTED]
    return position, instance_of(first), clock, *values, first.name
