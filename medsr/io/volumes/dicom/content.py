"""What the voxels of a DICOM scan show, where that decides how they may be refined."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from medsr.io.volumes import body_parts
from medsr.io.volumes.dicom.stack import Frame
from medsr.io.volumes.dicom.tags import value_of

PHASE = frozenset(("P", "PHASE", "PHASE MAP", "VELOCITY", "VELOCITY MAP"))
"""Values of ImageType of which the largest lies beside the smallest."""
SIGNED = frozenset(
    ("R", "I", "REAL", "IMAGINARY", "R_FFE", "I_FFE", "R_SE", "I_SE", "R_IR", "I_IR", "B0", "B0 MAP", "FIELD_MAP")
)
"""Values of ImageType of which 0 lies in the middle: parts of a complex signal, maps of the field."""
REGIONS = ("BodyPartExamined", "ProtocolName", "SeriesDescription", "StudyDescription")
"""Where a header names the part of the body, the most certain first."""


def is_phase(frames: list[Frame]) -> bool:
    """Whether any frame is of a phase or of velocities, whose values wrap."""
    return any(not PHASE.isdisjoint(_kinds(frame)) or _of_ge(frame.dataset) == 1 for frame in frames)


def is_signed(frames: list[Frame]) -> bool:
    """Whether any frame is the real or imaginary part of a signal, or a map of the field."""
    return any(not SIGNED.isdisjoint(_kinds(frame)) or _of_ge(frame.dataset) in (2, 3) for frame in frames)


def component(frames: list[Frame]) -> frozenset[str]:
    """Which part of complex values the frames hold, where it is not the magnitude: phase, real, imaginary."""
    kinds = {kind for frame in frames for kind in _kinds(frame)} & (PHASE | SIGNED)
    numbers = {_of_ge(frame.dataset) for frame in frames} - {0}
    return frozenset(kinds | {str(number) for number in numbers})


def elsewhere(dataset: Any) -> str:
    """The part of the body where the header names another than the head; else empty."""
    return body_parts.elsewhere(dataset.get(keyword) for keyword in REGIONS)


def words_of(values: Iterable[object]) -> set[str]:
    """Values of a header as upper-case words, each part of those that have several."""
    several = (value if isinstance(value, list | tuple) else (value,) for value in values)
    return {str(part).strip().upper() for parts in several for part in parts}


def _kinds(frame: Frame) -> set[str]:
    if frame.dataset.get("Modality") not in ("MR", None, ""):
        return set()
    return words_of(value_of(frame, key) for key in ("ImageType", "FrameType", "ComplexImageComponent"))


def _of_ge(dataset: Any) -> int:
    """What GE says in private: 0 magnitude (or nothing said), 1 phase, 2 real, 3 imaginary."""
    try:
        value = dataset.get_private_item(0x0043, 0x2F, "GEMS_PARM_01").value
        return int.from_bytes(value[:2], "little") if isinstance(value, bytes) else int(value)
    except (KeyError, TypeError, ValueError):
        return 0
