"""How long it takes from volume to volume of a DICOM series."""

from __future__ import annotations

import re

import numpy as np

from medsr.io.dicom.values import number_of
from medsr.io.volumes.dicom.stack import Frame
from medsr.io.volumes.dicom.tags import value_of

AS_SAID = 0.05
"""By how much of it clocks, which are rounded, may differ from the repetition time."""
MILLISECONDS = ("FrameReferenceTime", "TriggerTime", "NominalCardiacTriggerDelayTime")
CLOCKS = ("FrameAcquisitionDateTime", "AcquisitionDateTime", "AcquisitionTime")


def time_step(volumes: list[list[Frame]]) -> float:
    """Seconds from volume to volume: the usual one by their clocks, else the repetition time, else 1."""
    repetition = number_of(value_of(volumes[0][0], "RepetitionTime")) / 1000
    measured = [_usual([number_of(value_of(volume[0], key)) / 1000 for volume in volumes]) for key in MILLISECONDS]
    measured += [_usual([_seconds(str(value_of(volume[0], key))) for volume in volumes]) for key in CLOCKS]
    by_clock = next((step for step in measured if step > 0), 0.0)
    if repetition > 0 and (not by_clock or abs(by_clock - repetition) <= AS_SAID * repetition):
        return repetition
    return by_clock or 1.0


def _usual(times: list[float]) -> float:
    """The median step where the times never run back, else 0."""
    steps = np.diff(times)
    return round(float(np.median(steps)), 4) if len(steps) and steps.min() >= 0 else 0.0


def _seconds(clock: str) -> float:
    """`[YYYYMMDD]HHMMSS[.ffffff]` as seconds of the day, 0 where it is not a time."""
    parts = re.match(r"\s*(?:\d{8})?(\d\d)(\d\d)(\d\d(?:\.\d+)?)", clock, re.ASCII)
    return sum(float(part) * size for part, size in zip(parts.groups(), (3600, 60, 1), strict=True)) if parts else 0.0
