"""Slices of one series mean their values in one way: where some are inverted, signed or unscaled, it is refused."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable

from medsr.core.errors import InputError
from medsr.io.volumes.dicom.stack import Frame
from medsr.io.volumes.dicom.tags import value_of

MOST_NAMED = 3


def check(frames: list[Frame], name: str) -> None:
    """Raise InputError, naming the slices that are fewer, where the values of some mean something else."""
    _same(
        frames,
        name,
        "of different PhotometricInterpretation",
        lambda frame: frame.dataset.get("PhotometricInterpretation"),
    )
    _same(
        frames, name, "of signed and unsigned values", lambda frame: int(frame.dataset.get("PixelRepresentation") or 0)
    )
    _same(frames, name, "of different RescaleType", lambda frame: value_of(frame, "RescaleType"))
    _same(frames, name, "in different Units", lambda frame: value_of(frame, "Units"))
    if any(frame.rescale != (1.0, 0.0) for frame in frames):
        _same(frames, name, "with and without a rescale", _is_scaled)


def named(names: list[str]) -> str:
    """Up to three names, and how many more."""
    unique = list(dict.fromkeys(names))
    more = len(unique) - MOST_NAMED
    return ", ".join(unique[:MOST_NAMED]) + (f" and {more} more" if more > 0 else "")


def _is_scaled(frame: Frame) -> bool:
    return any(value_of(frame, keyword) != "" for keyword in ("RescaleSlope", "RescaleIntercept"))


def _same(frames: list[Frame], name: str, what: str, of: Callable[[Frame], Hashable]) -> None:
    groups: dict[Hashable, list[Frame]] = defaultdict(list)
    for frame in frames:
        groups[of(frame)].append(frame)
    if len(groups) > 1:
        fewest = [frame.name for frame in min(groups.values(), key=len)]
        raise InputError(
            f"{name}: slices {what} in one series: {len(fewest)} of {len(frames)} differ ({named(fewest)}); "
            "put them in a folder of their own"
        )
