"""Which slices of a DICOM series make one volume: acquisitions are told apart by what their headers say."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable

import numpy as np
from numpy.typing import NDArray

from medsr.io.dicom.values import number_of
from medsr.io.volumes.dicom.passes import RANKED, Places, by_number, ranked, spread
from medsr.io.volumes.dicom.stack import SAME_PLACE, Frame
from medsr.io.volumes.dicom.tags import order_of, value_of

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
    "FrameType",
    "KVP",
    "ConvolutionKernel",
    "FlipAngle",
    "SliceThickness",
    "NominalPercentageOfCardiacPhase",
    "TemporalPositionIdentifier",
    "TemporalPositionIndex",
)
"""Slices of one volume agree in these: where they differ and overlap in space, there are several volumes."""
WEAK = (
    *RANKED,
    "AcquisitionDate",
    "InversionTime",
    "SeriesTime",
    "SeriesNumber",
    "SeriesDescription",
)
"""Some scanners give slices of one volume their own: they split only where each part is an even stack by itself."""


def volumes_of(frames: list[Frame], normal: NDArray[np.float64]) -> list[list[Frame]]:
    """The frames (one size and orientation) as volumes, each sorted along `normal`, in the order of acquisition.

    Contiguous acquisitions stay one volume; overlapping ones are several.
    """
    frames = sorted(frames, key=lambda frame: (float(normal @ frame.position), frame.name, frame.index))
    places = _places(frames, normal)
    volumes = _split(frames, places)
    return sorted(volumes, key=order_of)


def _split(frames: list[Frame], places: Places) -> list[list[Frame]]:
    if len(parts := _told_apart(frames, places, STRONG)) > 1:
        return [volume for part in parts for volume in _split(part, places)]
    if len(volumes := ranked(frames, places)) > 1:
        return volumes
    if len(parts := _told_apart(frames, places, WEAK)) > 1:
        return [volume for part in parts for volume in _split(part, places)]
    parts = _chained(by_number(frames, places), places)
    if len(parts) > 1 and all(_sound(part, frames, places) for part in parts):
        return parts
    return [frames]


def _told_apart(frames: list[Frame], places: Places, keywords: tuple[str, ...]) -> list[list[Frame]]:
    """The frames as the first of the tags parts them that tells volumes apart, not slices."""
    for keyword in keywords:
        groups: dict[Hashable, list[Frame]] = defaultdict(list)
        for frame in frames:
            groups[value_of(frame, keyword)].append(frame)
        if 2 * sum(len(group) for group in groups.values() if spread(group, places) > 1) < len(frames):
            continue
        parts = _chained(list(groups.values()), places)
        several = [part for part in parts if spread(part, places) > 1]
        # Slices of CT are not acquired by turns, as those of MR are.
        sure = keyword in STRONG or frames[0].dataset.get("Modality") == "CT"
        if len(parts) > 1 and (sure or all(_sound(part, frames, places) for part in several)):
            return parts
    return [frames]


def _sound(part: list[Frame], frames: list[Frame], places: Places) -> bool:
    """Whether the part may be a volume by itself: no slices of the others lie between its own, but by overlap."""
    positions, every = sorted({places[frame] for frame in part}), {places[frame] for frame in frames}
    if positions == sorted(every) or len(
        [position for position in every if positions[0] <= position <= positions[-1]]
    ) == len(positions):
        return True
    step, union = _step(part), _step(frames)
    spacing, thickness = (
        abs(number_of(part[0].dataset.get(keyword))) for keyword in ("SpacingBetweenSlices", "SliceThickness")
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


def _chained(groups: list[list[Frame]], places: Places) -> list[list[Frame]]:
    """Groups that do not overlap in space are joined: chunks of one volume."""
    chains: list[list[tuple[int, int]]] = []
    parts: list[list[Frame]] = []
    for group in sorted(groups, key=order_of):
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


def _places(frames: list[Frame], normal: NDArray[np.float64]) -> Places:
    """The number of each frame's place along the normal; frames are sorted along it."""
    places, number, last = {}, -1, -np.inf
    for frame in frames:
        along = float(normal @ frame.position)
        if along - last > SAME_PLACE:
            number, last = number + 1, along
        places[frame] = number
    return places
