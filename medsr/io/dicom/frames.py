"""The header of a multi-frame DICOM image, for some of its frames."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from medsr.core.errors import InputError, UsageError
from medsr.io.dicom.values import decimal, items, numbers_of

PER_FRAME = "PerFrameFunctionalGroupsSequence"
VECTORS = (
    "PageNumberVector",
    "FrameLabelVector",
    "FramePrimaryAngleVector",
    "FrameSecondaryAngleVector",
    "SliceLocationVector",
    "DisplayWindowLabelVector",
)
"""One value for each frame."""
CONCATENATION = (
    "ConcatenationUID",
    "SOPInstanceUIDOfConcatenationSource",
    "InConcatenationNumber",
    "InConcatenationTotalNumber",
    "ConcatenationFrameOffsetNumber",
)
STEPS = (
    "PositionerPrimaryAngleIncrement",
    "PositionerSecondaryAngleIncrement",
    "TableVerticalIncrement",
    "TableLateralIncrement",
    "TableLongitudinalIncrement",
)
"""Changes for each frame, of which DICOM leaves open whether they add up."""
OF_ALL = {
    "EffectiveDuration": "the duration",
    "StartTrim": "the frames to be played",
    "StopTrim": "the frames to be played",
    "RWaveTimeVector": "times of R waves",
    "RWavePointer": "times of R waves",
    "MaskSubtractionSequence": "the mask to subtract",
    "RecommendedViewingMode": "the mask to subtract",
    "FrameNumbersOfInterest": "frames of interest",
    "FrameOfInterestDescription": "frames of interest",
    "FrameOfInterestType": "frames of interest",
}
"""What is said of all frames together, or by their numbers."""
RATES = {"CineRate": "the frame rate", "RecommendedDisplayFrameRate": "the frame rate"}
CAPTURES = "1.2.840.10008.5.1.4.1.1.7."
"""How the UIDs of multi-frame secondary captures begin."""
BOUND = {"NM": "a nuclear medicine image", "RTIMAGE": "a radiotherapy image"}
"""Modalities whose headers count their frames in many places."""


def count_of(dataset: Any) -> int:
    """How many frames the header declares."""
    return int(dataset.get("NumberOfFrames") or 1)


def is_multiframe(dataset: Any) -> bool:
    """Whether it is of a kind that is made for several frames: others may not be referred to by frames."""
    return "FrameIncrementPointer" in dataset or PER_FRAME in dataset


def check(dataset: Any, name: str) -> None:
    """Raise InputError where the header, or the compressed data, holds another number of frames than is declared."""
    from pydicom.encaps import parse_fragments

    count = count_of(dataset)
    if count < 1:
        raise InputError(f"{name}: damaged header: it declares {count} frames")
    groups = items(dataset, PER_FRAME)
    if groups and len(groups) != count:
        raise InputError(f"{name}: damaged header: it declares {count} frames and describes {len(groups)}")
    if dataset["PixelData"].is_undefined_length:
        fragments, _ = parse_fragments(dataset.PixelData)
        if fragments - 1 < count:  # the first is the table of offsets
            raise InputError(f"{name}: damaged: it declares {count} frames and holds only {max(0, fragments - 1)}")


def check_excess(dataset: Any, name: str) -> None:
    """Raise InputError where uncompressed pixels are enough for more frames than the header declares."""
    count = count_of(dataset)
    if count < 1 or dataset["PixelData"].is_undefined_length:
        return
    samples = 2 if dataset.PhotometricInterpretation == "YBR_FULL_422" else int(dataset.get("SamplesPerPixel") or 1)
    of_one = int(dataset.Rows) * int(dataset.Columns) * samples * int(dataset.BitsAllocated) // 8
    beyond = len(dataset.PixelData) - of_one * count
    if of_one and beyond >= of_one and beyond > 1:  # one byte makes the length even
        frames = len(dataset.PixelData) // of_one
        raise InputError(f"{name}: damaged header: it declares {count} frame(s), its pixels are enough for {frames}")


def check_choice(dataset: Any, numbers: Sequence[int], name: str) -> None:
    """Raise UsageError where the header of some frames alone cannot be told from that of all."""
    if len(numbers) == count_of(dataset):
        return
    if what := BOUND.get(str(dataset.get("Modality") or "")):
        raise UsageError(f"{name}: {what}, whose frames belong together; give `frames=all`")
    for keyword in STEPS:
        if keyword in dataset and len(_values(dataset, keyword)) > 1:
            raise UsageError(f"{name}: {keyword} counts from frame to frame, so all are needed; give `frames=all`")


def keep(dataset: Any, numbers: Sequence[int]) -> list[str]:
    """Make it, in place, the header of these frames (from 1, in order); returns what was left out, in words."""
    count = count_of(dataset)
    for keyword in CONCATENATION:
        if keyword in dataset:
            del dataset[keyword]
    dataset.NumberOfFrames = len(numbers)
    left_out: list[str] = []
    if len(numbers) < count:
        steps = {later - earlier for earlier, later in pairwise(numbers)} or {1}
        _forget(dataset, OF_ALL if steps == {1} else OF_ALL | RATES, left_out)
        if numbers[0] > 1:
            _forget(dataset, {"FrameDelay": "the delay of the first frame"}, left_out)
        _keep_groups(dataset, numbers, steps)
        for keyword in VECTORS:
            _keep_vector(dataset, keyword, numbers, count, left_out)
        _keep_times(dataset, numbers, count, left_out)
        if "RepresentativeFrameNumber" in dataset:
            _renumber(dataset, numbers)
    _settle_pointer(dataset)
    return list(dict.fromkeys(left_out))


def _forget(dataset: Any, words: dict[str, str], left_out: list[str]) -> None:
    for keyword, description in words.items():
        if keyword in dataset:
            del dataset[keyword]
            left_out.append(description)


def _values(dataset: Any, keyword: str) -> list[Any]:
    value = dataset[keyword].value
    return [] if value is None else [value] if isinstance(value, str) or not hasattr(value, "__iter__") else list(value)


def _keep_groups(dataset: Any, numbers: Sequence[int], steps: set[int]) -> None:
    from pydicom.sequence import Sequence as Items

    groups = items(dataset, PER_FRAME)
    if not groups:
        return
    kept = [groups[number - 1] for number in numbers]
    setattr(dataset, PER_FRAME, Items(kept))
    _renumber_dimensions(kept)
    for group in [*items(dataset, "SharedFunctionalGroupsSequence"), *kept]:
        for measures in items(group, "PixelMeasuresSequence"):
            if steps != {1} and "SpacingBetweenSlices" in measures:
                if len(steps) == 1 and measures.SpacingBetweenSlices is not None:
                    measures.SpacingBetweenSlices = decimal(float(measures.SpacingBetweenSlices) * min(steps))
                else:
                    del measures.SpacingBetweenSlices


def _renumber_dimensions(groups: list[Any]) -> None:
    """Index values count from 1 without gaps (PS3.3 C.7.6.17)."""
    contents = [item for group in groups for item in items(group, "FrameContentSequence")]
    rows = [_values(item, "DimensionIndexValues") for item in contents if "DimensionIndexValues" in item]
    if len(rows) != len(groups) or len({len(row) for row in rows}) != 1 or not rows[0]:
        return
    ranks = [np.unique(column, return_inverse=True)[1] + 1 for column in zip(*rows, strict=True)]
    for item, row in zip(contents, zip(*ranks, strict=True), strict=True):
        values = [int(rank) for rank in row]
        item.DimensionIndexValues = values if len(values) > 1 else values[0]


def _keep_vector(dataset: Any, keyword: str, numbers: Sequence[int], count: int, left_out: list[str]) -> None:
    if keyword not in dataset:
        return
    values = _values(dataset, keyword)
    if len(values) == count:
        dataset[keyword].value = [values[number - 1] for number in numbers]
    else:
        _forget(dataset, {keyword: f"{keyword} (not a valid value)"}, left_out)


def _keep_times(dataset: Any, numbers: Sequence[int], count: int, left_out: list[str]) -> None:
    """Milliseconds between frames: summed where frames between are left out."""
    for keyword in ("FrameTime", "FrameTimeVector"):
        try:
            values = numbers_of(dataset, keyword)
        except ValueError:
            values = []
        if values is None:
            continue
        if len(values) != (1 if keyword == "FrameTime" else count):
            _forget(dataset, {keyword: f"{keyword} (not a valid value)"}, left_out)
            continue
        at = np.arange(count) * values[0] if keyword == "FrameTime" else np.cumsum([0.0, *values[1:]])
        between = [round(float(step), 6) for step in np.diff([at[number - 1] for number in numbers])]
        if keyword == "FrameTimeVector":
            dataset.FrameTimeVector = [decimal(step) for step in [0.0, *between]]
        elif len({later - earlier for earlier, later in pairwise(numbers)}) == 1:
            dataset.FrameTime = decimal(between[0])
        elif between:  # no longer one step
            del dataset.FrameTime
            dataset.FrameTimeVector = [decimal(step) for step in [0.0, *between]]
            pointers = _values(dataset, "FrameIncrementPointer") if "FrameIncrementPointer" in dataset else []
            dataset.FrameIncrementPointer = [0x00181065 if tag == 0x00181063 else tag for tag in pointers] or 0x00181065
            break


def _renumber(dataset: Any, numbers: Sequence[int]) -> None:
    representative = dataset.RepresentativeFrameNumber
    if representative in numbers:
        dataset.RepresentativeFrameNumber = list(numbers).index(representative) + 1
    else:
        del dataset.RepresentativeFrameNumber


def _settle_pointer(dataset: Any) -> None:
    """It names only elements that are there; secondary captures have none beside a single frame (PS3.3 C.8.6.3)."""
    if "FrameIncrementPointer" not in dataset:
        return
    tags = [tag for tag in _values(dataset, "FrameIncrementPointer") if tag in dataset]
    captured = str(dataset.get("SOPClassUID") or "").startswith(CAPTURES)
    if tags and not (captured and dataset.NumberOfFrames == 1):
        dataset.FrameIncrementPointer = tags if len(tags) > 1 else tags[0]
    else:
        del dataset.FrameIncrementPointer


def remove_private(dataset: Any) -> None:
    """Private elements of functional groups go, as those beside them do."""
    for group in items(dataset, "SharedFunctionalGroupsSequence") + items(dataset, PER_FRAME):
        group.remove_private_tags()
