"""What the voxels of a DICOM scan show, where that decides how they may be refined."""

from __future__ import annotations

import re
from typing import Any

from medsr.io.dicom_stack import Frame
from medsr.io.dicom_tags import value_of

PHASE = frozenset(("P", "PHASE", "PHASE MAP", "VELOCITY", "VELOCITY MAP"))
COMPONENTS = PHASE | {"R", "REAL", "I", "IMAGINARY"}
ELSEWHERE = (
    *("KNEE", "PROSTATE", "SPINE", "ABDOMEN", "PELVIS", "CHEST", "THORAX", "HEART", "BREAST", "LIVER", "SHOULDER"),
    *("HIP", "ANKLE", "FOOT", "WRIST", "HAND", "ELBOW", "KIDNEY", "UTERUS", "LEG", "ARM", "LUNG", "FEMUR", "THIGH"),
)
"""Parts of the body that are not the head: only these words are repeated, as any text may stand in a header."""


def is_phase(frames: list[Frame]) -> bool:
    """Whether any frame is of a phase or of velocities, whose values wrap."""
    return not PHASE.isdisjoint(_words(frames))


def component(frames: list[Frame]) -> frozenset[str]:
    """Which part of complex values the frames hold, where it is not the magnitude: phase, real, imaginary."""
    return _words(frames) & COMPONENTS


def _words(frames: list[Frame]) -> frozenset[str]:
    said = {value_of(frame, key) for frame in frames for key in ("ImageType", "FrameType", "ComplexImageComponent")}
    return frozenset(str(part) for value in said for part in (value if isinstance(value, tuple) else (value,)))


def elsewhere(dataset: Any) -> str:
    """The part of the body where the header names another than the head; else empty."""
    for keyword in ("BodyPartExamined", "ProtocolName", "StudyDescription"):
        words = re.split(r"[^A-Z]+", str(dataset.get(keyword) or "").upper())
        part = next((part for part in ELSEWHERE if any(word.endswith(part) for word in words if len(word) <= 8)), None)
        if part is not None or (keyword == "BodyPartExamined" and any(words)):
            return part or ""
    return ""
