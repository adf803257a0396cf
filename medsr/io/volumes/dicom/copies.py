"""Files of a DICOM series that are there twice."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medsr.io.volumes.dicom.stack import Frame


def drop_copies(frames: list[Frame], decode: Callable[[Frame], NDArray], notes: list[str]) -> list[Frame]:
    """Frames that are there twice, each once: one instance, place and rescale, and the same pixels.

    `decode`: gives the pixels of all frames of a frame's file. What was dropped is added to `notes`.
    """
    kept: dict[tuple[Any, ...], Frame] = {}
    same: dict[tuple[int, int], bool] = {}
    different = []
    for frame in frames:
        uid = str(frame.dataset.get("SOPInstanceUID") or frame.name)
        before = kept.setdefault((uid, frame.index, *frame.position, *frame.rescale), frame)
        if before is frame:
            continue
        files = id(before.dataset), id(frame.dataset)
        if files not in same:
            same[files] = np.array_equal(decode(before), decode(frame))
        if not same[files]:
            different.append(frame)
    once = [*kept.values(), *different]
    if doubles := len(frames) - len(once):
        notes.append(f"{doubles} slice(s) are there twice with the same pixels; each was taken once")
    return once
