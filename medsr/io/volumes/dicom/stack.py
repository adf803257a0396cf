"""Slices into a stack: order, gaps, doubles, tilt."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from medsr.core.errors import InputError
from medsr.io.dicom.values import number_of

SAME_PLACE = 1e-3
"""Millimetres along the normal below which two slices lie in one place."""
UNEVEN = 0.05
"""How much of a step a slice may be off an even stack: positions are written with few digits."""
ROUNDING = 0.1
"""Millimetres a slice may be off an even stack in any case: some scanners write one decimal."""
TILT = 0.2
"""Degrees between stack and slice normal from which the gantry counts as tilted."""


Open = Callable[[], IO[bytes]]


@dataclass(frozen=True, eq=False)
class Frame:
    """One slice: its data set without pixels, which frame of it, and where to find the pixels."""

    name: str
    open: Open
    dataset: Any
    index: int
    position: NDArray[np.float64]
    cosines: NDArray[np.float64]
    spacing: tuple[float, float]
    rescale: tuple[float, float]
    lookups: dict[str, Hashable] = field(default_factory=dict, repr=False)
    """What was looked up in its header before: series of thousands are looked through tag by tag."""


def is_parallel(first: Frame, second: Frame) -> bool:
    """Whether two slices have the same size, pixel spacing and orientation."""
    same_size = (first.dataset.Rows, first.dataset.Columns) == (second.dataset.Rows, second.dataset.Columns)
    return (
        same_size
        and np.allclose(first.spacing, second.spacing, rtol=1e-3)
        and np.allclose(first.cosines, second.cosines, atol=2e-3)
    )


def sort_slices(frames: list[Frame], name: str) -> tuple[list[Frame], NDArray[np.float64]]:
    """Parallel slices in order along their common normal, and that normal (LPS).

    Raises InputError when their axes are not at right angles.
    """
    first = frames[0]
    normal = np.cross(first.cosines[:3], first.cosines[3:])
    length = np.linalg.norm(normal)
    if not 0.99 < length < 1.01:
        raise InputError(f"{name}: ImageOrientationPatient is not two perpendicular unit vectors")
    return sorted(frames, key=lambda frame: (float(normal @ frame.position), frame.name)), normal / length


def drop_duplicates(frames: list[Frame], stored: NDArray, name: str, notes: list[str]) -> tuple[list[Frame], NDArray]:
    """Drop slices that are there twice with the same pixels. Raises InputError when they differ."""
    normal = np.cross(frames[0].cosines[:3], frames[0].cosines[3:])
    kept = [0]
    for k in range(1, len(frames)):
        if normal @ (frames[k].position - frames[kept[-1]].position) > SAME_PLACE:
            kept.append(k)
        elif not np.array_equal(stored[:, :, k], stored[:, :, kept[-1]]):
            raise InputError(
                f"{name}: different images at one position ({frames[kept[-1]].name}, {frames[k].name}): several "
                "echoes or time points; split them into series first"
            )
    if doubles := len(frames) - len(kept):
        notes.append(f"{doubles} slice(s) are there twice with the same pixels; each was taken once")
        return [frames[k] for k in kept], np.asfortranarray(stored[:, :, kept])
    return frames, stored


def build_affine(
    frames: list[Frame],
    stored: NDArray,
    normal: NDArray[np.float64],
    notes: list[str],
    empty: NDArray[np.bool_] | None = None,
) -> tuple[NDArray, NDArray[np.float64], NDArray[np.bool_] | None]:
    """The pixels, moved onto even steps where the slices' own are uneven, the stack's affine (LPS), the background.

    `empty`: where the background is, None where there is none.

    Raises InputError when slices are missing: what lay in the gap would have to be invented.
    """
    first, last = frames[0], frames[-1]
    places = np.array([normal @ (frame.position - first.position) for frame in frames])
    count = len(frames)
    if count < 2:
        raise InputError(f"{first.name}: one slice: not a volume; medsr upscale takes single images")
    _refuse_gaps(places, frames)
    even = np.linspace(0, places[-1], count)
    steps = np.diff(places)
    if np.abs(places - even).max() > max(UNEVEN * steps.min(), ROUNDING):
        step = float(np.percentile(steps, 25))
        count = round(places[-1] / step) + 1
        stored, empty = _onto(stored, places, np.linspace(0, places[-1], count), empty)
        notes.append(
            f"the slices' steps vary from {steps.min():.2f} to {steps.max():.2f} mm; the {len(frames)} slices were "
            f"interpolated linearly onto {count} at even {places[-1] / (count - 1):.3f} mm"
        )
    _refuse_shifts(frames, places)
    step_vector = (last.position - first.position) / (count - 1)
    affine = np.eye(4)
    affine[:3, 0] = first.cosines[:3] * first.spacing[1]
    affine[:3, 1] = first.cosines[3:] * first.spacing[0]
    affine[:3, 2], affine[:3, 3] = step_vector, first.position
    length = float(np.linalg.norm(step_vector))
    tilt = np.degrees(np.arccos(np.clip(normal @ step_vector / length, -1, 1)))
    if tilt > TILT:
        notes.append(f"gantry tilt of {tilt:.1f} degrees: kept exactly, as a sheared affine")
    return stored, affine, empty


def _refuse_gaps(places: NDArray[np.float64], frames: list[Frame]) -> None:
    """A gap is a step much longer than the steps beside it; a change of step is none."""
    steps = np.diff(places)
    for k, step in enumerate(steps):
        beside = [steps[n] for n in (k - 1, k + 1) if 0 <= n < len(steps)]
        if beside and step > 1.5 * max(beside):
            missing = max(1, round(step / max(beside)) - 1)
            raise InputError(
                f"{missing} slice(s) missing between {frames[k].name} and {frames[k + 1].name}: a step of {step:.2f} "
                f"mm beside {max(beside):.2f} mm; {_repair(frames)}"
            )
    _refuse_multiples(steps, frames)


def _repair(frames: list[Frame]) -> str:
    if "SegmentSequence" in frames[0].dataset:
        return "the segmentation leaves its empty slices out; export it as NIfTI"
    return "complete the series"


def _refuse_multiples(steps: NDArray[np.float64], frames: list[Frame]) -> None:
    """Several steps of twice (or more) the least in slices no thicker: single slices are missing between others."""
    base = float(steps.min())
    for k, step in enumerate(steps):
        times = step / base
        thick = [number_of(frame.dataset.get("SliceThickness")) for frame in frames[k : k + 2]]
        if round(times) >= 2 and abs(times - round(times)) < UNEVEN and max(thick) < 1.5 * base:
            raise InputError(
                f"{round(times) - 1} slice(s) missing between {frames[k].name} and {frames[k + 1].name}: a step of "
                f"{step:.2f} mm where others are {base:.2f} mm; {_repair(frames)}"
            )
    numbers = [number_of(frame.dataset.get("InstanceNumber")) for frame in frames]
    stated = number_of(frames[0].dataset.get("SpacingBetweenSlices"))
    jumps = set(np.abs(np.diff(numbers)))
    if stated > 0 and len(jumps) == 1 and (jump := jumps.pop()) > 1 and abs(base / stated - jump) < UNEVEN * jump:
        raise InputError(
            f"only one in {jump:g} slices is there ({frames[0].name}, {frames[1].name}): steps of {base:.2f} mm, "
            f"{stated:g} mm by the header; {_repair(frames)}"
        )


def _refuse_shifts(frames: list[Frame], places: NDArray[np.float64]) -> None:
    """Slices may drift sideways evenly (gantry tilt), not jump."""
    first, last = frames[0], frames[-1]
    line = first.position + np.outer(places / places[-1], last.position - first.position)
    off = np.linalg.norm(np.array([frame.position for frame in frames]) - line, axis=1)
    if off.max() > max(0.1, 0.25 * min(first.spacing)):
        worst = frames[int(off.argmax())].name
        raise InputError(
            f"the slices do not lie on one straight line: {worst} is {off.max():.1f} mm beside it; several stacks in "
            "one series? put them in folders of their own"
        )


def _onto(
    stored: NDArray, places: NDArray[np.float64], wanted: NDArray[np.float64], empty: NDArray[np.bool_] | None
) -> tuple[NDArray, NDArray[np.bool_] | None]:
    """Linear interpolation along the last axis from `places` to `wanted` (both millimetres, ascending).

    Nothing is mixed with background: beside it the nearer slice is taken as it is.
    """
    moved = np.empty((*stored.shape[:2], len(wanted)), stored.dtype, order="F")
    moved_empty = None if empty is None else np.zeros(moved.shape, bool, order="F")
    for k, position in enumerate(wanted):
        upper = int(np.clip(np.searchsorted(places, position), 1, len(places) - 1))
        share = float(np.clip((position - places[upper - 1]) / (places[upper] - places[upper - 1]), 0, 1))
        mixed = stored[:, :, upper - 1] * (1 - share) + stored[:, :, upper] * share
        moved[:, :, k] = np.rint(mixed) if stored.dtype.kind in "iu" else mixed
        if empty is not None and moved_empty is not None:
            nearer = upper if share >= 0.5 else upper - 1
            beside = empty[:, :, upper - 1] | empty[:, :, upper]
            moved[:, :, k][beside] = stored[:, :, nearer][beside]
            moved_empty[:, :, k] = empty[:, :, nearer]
    return moved, moved_empty
