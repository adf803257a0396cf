"""DICOM objects whose frames are not the slices of one scan: refused, each for its own reason."""

from __future__ import annotations

from typing import Any

from medsr.core.errors import InputError


def check(dataset: Any, name: str) -> None:
    """Raise InputError for several segments in one object, and frames without positions."""
    frames = int(dataset.get("NumberOfFrames") or 1)
    if len(dataset.get("SegmentSequence") or []) > 1 and dataset.get("SegmentationType") != "LABELMAP":
        raise InputError(
            f"{name}: a segmentation with {len(dataset.SegmentSequence)} segments, which medsr does not tell apart; "
            "export each segment by itself, or a label map as NIfTI"
        )
    if frames > 1 and not dataset.get("PerFrameFunctionalGroupsSequence"):
        raise InputError(f"{name}: has {frames} frames and no position for each: where its slices lie is not guessed")
