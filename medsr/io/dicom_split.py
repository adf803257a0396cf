"""Which slices of a DICOM series make one volume: acquisitions are told apart by what their headers say."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medsr.io.dicom_stack import SAME_PLACE, Frame

STRONG = (
    "StackID",
    "ImageType",
    "ComplexImageComponent",
    "EchoNumbers",
    "EchoTime",
    "EffectiveEchoTime",
    "DiffusionBValue",
    "DiffusionGradientOrientation",
    "ContrastBolusAgent",
    "KVP",
    "ConvolutionKernel",
    "FlipAngle",
    "TemporalPositionIdentifier",
    "TemporalPositionIndex",
)
"""Slices of one volume agree in these: where they differ and overlap in space, there are several volumes."""
WEAK = ("AcquisitionNumber", "AcquisitionDateTime", "AcquisitionTime", "TriggerTime", "InversionTime")
"""Some scanners give slices of one volume their own: they split only where each part is an even stack by itself."""


def volumes_of(frames: list[Frame], normal: NDArray[np.float64]) -> list[list[Frame]]:
    """The frames (one size and orientation) as volumes, each sorted along `normal`, in the order of acquisition.

    Contiguous acquisitions stay one volume; overlapping ones are several.
    """
    frames = sorted(frames, key=lambda frame: (float(normal @ frame.position), frame.name, frame.index))
    places = _places(frames, normal)
    volumes = _split(frames, places)
    return sorted(volumes, key=_order)


def _split(frames: list[Frame], places: dict[Frame, int]) -> list[list[Frame]]:
    for keyword in (*STRONG, *WEAK):
        groups: dict[Hashable, list[Frame]] = defaultdict(list)
        for frame in frames:
            groups[value_of(frame, keyword)].append(frame)
        parts = _chained(list(groups.values()), places)
        if len(parts) > 1 and _separate(parts, frames, places, keyword in WEAK):
            return [volume for part in parts for volume in _split(part, places)]
    return _repeats(frames, places)


def _separate(parts: list[list[Frame]], frames: list[Frame], places: dict[Frame, int], weak: bool) -> bool:
    """Whether a tag that parts the frames so tells volumes apart, not slices."""
    several = [part for part in parts if len({places[frame] for frame in part}) > 1]
    if 2 * sum(map(len, several)) < len(frames):
        return False
    return not weak or all(_sound(part, frames, places) for part in several)


def _sound(part: list[Frame], frames: list[Frame], places: dict[Frame, int]) -> bool:
    """Whether the part may be a volume by itself: no slices of the others lie between its own, but by overlap."""
    own, every = sorted({places[frame] for frame in part}), {places[frame] for frame in frames}
    if own == sorted(every) or len([place for place in every if own[0] <= place <= own[-1]]) == len(own):
        return True
    step, union = _step(part), _step(frames)
    spacing, thickness = (
        abs(_number(part[0].dataset.get(keyword))) for keyword in ("SpacingBetweenSlices", "SliceThickness")
    )
    if abs(spacing - union) <= 0.1 * union:
        return False
    expected = max(spacing, thickness)
    return step <= (1.5 * expected if expected else 2.1 * union)


def _step(frames: list[Frame]) -> float:
    """The usual distance of neighbouring slices, mm."""
    line = np.cross(frames[0].cosines[:3], frames[0].cosines[3:])
    along = np.sort([float(line @ frame.position) for frame in frames])
    steps = np.diff(along)
    steps = steps[steps > SAME_PLACE]
    return float(np.median(steps)) if len(steps) else 0.0


def _chained(groups: list[list[Frame]], places: dict[Frame, int]) -> list[list[Frame]]:
    """Groups that do not overlap in space are joined: chunks of one volume."""
    chains: list[list[tuple[int, int]]] = []
    parts: list[list[Frame]] = []
    for group in sorted(groups, key=_order):
        low, high = min(places[frame] for frame in group), max(places[frame] for frame in group)
        for chain, part in zip(chains, parts, strict=True):
            if all(high < start or low > end for start, end in chain):
                chain.append((low, high))
                part.extend(group)
                break
        else:
            chains.append([(low, high)])
            parts.append(list(group))
    return [sorted(part, key=lambda frame: (places[frame], frame.name, frame.index)) for part in parts]


def _repeats(frames: list[Frame], places: dict[Frame, int]) -> list[list[Frame]]:
    """Frames that no tag parts: where every place has as many and their numbers are regular, by their numbers."""
    at: dict[int, list[Frame]] = defaultdict(list)
    for frame in frames:
        at[places[frame]].append(frame)
    count = len(next(iter(at.values())))
    numbers = [_instance(frame) for frame in frames]
    if count == 1 or len(set(numbers)) < len(numbers) or any(len(group) != count for group in at.values()):
        return [frames]
    numbered = [places[frame] for frame in sorted(frames, key=_instance)]
    by_volume = all(len(set(numbered[k : k + len(at)])) == len(at) for k in range(0, len(numbered), len(at)))
    by_slice = all(len(set(numbered[k : k + count])) == 1 for k in range(0, len(numbered), count))
    if not by_volume and not by_slice:
        return [frames]
    ranked = [sorted(group, key=_instance) for _, group in sorted(at.items())]
    return [[group[k] for group in ranked] for k in range(count)]


def _places(frames: list[Frame], normal: NDArray[np.float64]) -> dict[Frame, int]:
    """The number of each frame's place along the normal; frames are sorted along it."""
    places, number, last = {}, -1, -np.inf
    for frame in frames:
        along = float(normal @ frame.position)
        if along - last > SAME_PLACE:
            number, last = number + 1, along
        places[frame] = number
    return places


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


def _number(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        return 0.0


def _instance(frame: Frame) -> tuple[float, int]:
    return _number(frame.dataset.get("InstanceNumber")), frame.index


def _order(frames: list[Frame]) -> tuple[Any, ...]:
    """Volumes and groups in the order of their numbers, as scanners count images in order of acquisition."""
    first = min(frames, key=_instance)
    position = max(_number(value_of(first, key)) for key in ("TemporalPositionIdentifier", "TemporalPositionIndex"))
    clock = str(first.dataset.get("AcquisitionDateTime") or first.dataset.get("AcquisitionTime") or "")
    return position, _instance(first), clock, _number(first.dataset.get("AcquisitionNumber")), first.name
