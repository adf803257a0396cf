"""What the header of a slice says, wherever it is written, and the order in which slices were acquired."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any

from medsr.io.dicom.values import number_of
from medsr.io.volumes.dicom.stack import Frame

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

PLACES = (0x00200032, 0x00209057, 0x00209113)
"""Tags that dimension indices of a place point at: position, number in the stack, plane position."""


def value_of(frame: Frame, keyword: str) -> Hashable:
    """What a frame says under a keyword, wherever its functional groups hold it.

    Of its dimension indices those that do not count places.
    """
    if keyword not in frame.lookups:
        frame.lookups[keyword] = _dimensions(frame) if keyword == "DimensionIndexValues" else _looked_up(frame, keyword)
    return frame.lookups[keyword]


def _looked_up(frame: Frame, keyword: str) -> Hashable:
    for sequence, item in (("PerFrameFunctionalGroupsSequence", frame.index), ("SharedFunctionalGroupsSequence", 0)):
        groups = frame.dataset.get(sequence)
        if groups and len(groups) > item:
            value = _within(groups[item], keyword)
            if value is not None:
                return _plain(value)
    return _plain(frame.dataset.get(keyword))


def _dimensions(frame: Frame) -> Hashable:
    pointers = [item.get("DimensionIndexPointer") for item in frame.dataset.get("DimensionIndexSequence") or []]
    groups = frame.dataset.get("PerFrameFunctionalGroupsSequence") or []
    values = _within(groups[frame.index], "DimensionIndexValues") if len(groups) > frame.index else None
    values = values if isinstance(values, Sequence) else [values]
    if len(values) != len(pointers):
        return ""
    return tuple(_plain(value) for value, pointer in zip(values, pointers, strict=True) if pointer not in PLACES)


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


def instance_of(frame: Frame) -> tuple[float, int]:
    """The number of a slice within its series."""
    return number_of(frame.dataset.get("InstanceNumber")), frame.index


def order_of(frames: list[Frame]) -> tuple[Any, ...]:
    """Volumes and groups in the order of their numbers, as scanners count images in order of acquisition."""
    first = min(frames, key=instance_of)
    position = max(number_of(value_of(first, key)) for key in ("TemporalPositionIdentifier", "TemporalPositionIndex"))
    clock = str(first.dataset.get("AcquisitionDateTime") or first.dataset.get("AcquisitionTime") or "")
    values = [number_of(value_of(first, key)) for key in COUNTED]
    begun = min(str(value_of(frame, "FrameAcquisitionDateTime")) for frame in frames)
    dimensions = value_of(first, "DimensionIndexValues") or ()
    return position, begun, dimensions, instance_of(first), clock, *values, first.name
