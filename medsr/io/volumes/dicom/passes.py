"""Volumes that no tag parts cleanly: told by the order of slices at each place, or by how their numbers run."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from itertools import pairwise
from typing import Any

from medsr.io.volumes.dicom.stack import Frame
from medsr.io.volumes.dicom.tags import instance_of, value_of

Places = dict[Frame, int]

RANKED = (
    "TemporalPositionIdentifier",
    "TemporalPositionIndex",
    "TriggerTime",
    "NominalCardiacTriggerDelayTime",
    "FrameReferenceTime",
    "FrameAcquisitionDateTime",
    "AcquisitionDateTime",
    "AcquisitionTime",
    "AcquisitionNumber",
    "FrameAcquisitionNumber",
    "DimensionIndexValues",
)
"""Where every place has as many slices, all with their own value, the first value at each place is the first volume."""
LEAST_PASS = 3
"""Slices that follow each other in space as in number, from which they count as one pass through the body."""


def spread(part: list[Frame], places: Places) -> int:
    """How many places the slices lie in."""
    return len({places[frame] for frame in part})


def ranked(frames: list[Frame], places: Places) -> list[list[Frame]]:
    """Several slices at every place: the first at each place are the first volume, by a time or number.

    Cardiac phases have a trigger time of their own at every place, functional scans one for every slice.
    """
    at: dict[int, list[Frame]] = defaultdict(list)
    for frame in frames:
        at[places[frame]].append(frame)
    count = len(frames) // len(at)
    if count == 1 or any(len(group) != count for group in at.values()):
        return [frames]
    for keyword in RANKED:
        if all(_distinct([value_of(frame, keyword) for frame in group]) for group in at.values()):
            return _by(at, count, lambda frame, keyword=keyword: value_of(frame, keyword))  # type: ignore[misc]
    return _by(at, count, instance_of) if _regular(frames, places, count) else [frames]


def by_number(frames: list[Frame], places: Places) -> list[list[Frame]]:
    """The passes through the body as the slices' numbers run; all as one where the numbers do not run through it."""
    for keyword in ("InstanceNumber", "AcquisitionDateTime", "AcquisitionTime", "ContentTime"):
        values = [(value_of(frame, keyword), frame.index) for frame in frames]
        if not _distinct(values) or any(value == "" for value, _ in values):
            continue
        passes = _passes(
            [frame for _, frame in sorted(zip(values, frames, strict=True), key=lambda pair: pair[0])], places
        )
        return passes if all(len(part) >= LEAST_PASS for part in passes) else [frames]
    return [frames]


def _passes(frames: list[Frame], places: Places) -> list[list[Frame]]:
    """Runs of slices in one direction."""
    passes = [[frames[0]]]
    for before, frame in pairwise(frames):
        run, step = passes[-1], places[frame] - places[before]
        onward = step * (places[run[-1]] - places[run[0]]) if len(run) > 1 else abs(step)
        if onward > 0:
            run.append(frame)
        else:
            passes.append([frame])
    return passes


def _by(at: dict[int, list[Frame]], count: int, key: Callable[[Frame], Any]) -> list[list[Frame]]:
    order = [sorted(group, key=key) for _, group in sorted(at.items())]
    return [[group[n] for group in order] for n in range(count)]


def _distinct(values: list[Any]) -> bool:
    return len(set(values)) == len(values) and len({type(value) for value in values}) == 1 and "" not in values


def _regular(frames: list[Frame], places: Places, count: int) -> bool:
    """Whether the numbers run volume by volume or place by place."""
    numbers = [instance_of(frame) for frame in frames]
    if len(set(numbers)) < len(numbers):
        return False
    numbered, length = [places[frame] for frame in sorted(frames, key=instance_of)], len(frames) // count
    by_volume = all(len(set(numbered[k : k + length])) == length for k in range(0, len(numbered), length))
    by_slice = all(len(set(numbered[k : k + count])) == 1 for k in range(0, len(numbered), count))
    return by_volume or by_slice
