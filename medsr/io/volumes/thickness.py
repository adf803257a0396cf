"""What a header says of its slices: how thick one is, and how far the next one is away."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from medsr.core.geometry import Grid

LARGEST = 200.0
"""mm; no slice is thicker, whatever it shows."""
LEAST = 1e-4
"""mm; slices of microscopes are thicker."""
AGREE = 0.05
"""Distances of slices that differ by less than this share agree."""
SAME = 0.02
"""A slice whose thickness differs from another length by no more than this share is as thick as that."""
Stated = tuple[float | None, tuple[str, ...]]
"""The thickness in mm, None where there is none to be believed; and what to say about it."""


def distance_of(grid: Grid, axis: int) -> float:
    """mm from the middle of a slice to the middle of the next, across the slices; `axis`: along which they follow.

    The spacing, but in a stack that is sheared by a tilted gantry.
    """
    first, second = (grid.affine[:3, other] for other in range(3) if other != axis)
    normal = np.cross(first, second)
    across = float(abs(normal @ grid.affine[:3, axis]) / np.linalg.norm(normal))
    spacing = grid.spacing[axis]
    return spacing if abs(across - spacing) < 1e-4 * spacing else across


def thickness_of(values: Sequence[Any], unit: float = 1.0) -> Stated:
    """The thickness that the headers of slices state, in `unit` mm. What is absent or empty states none."""
    numbers = []
    for value in values:
        if value is None or (isinstance(value, str) and not value.strip()):
            continue
        number = _number(value)
        if number is None:
            return None, ("the header's slice thickness is not a number: the spacing is taken",)
        if not LEAST <= number * unit <= LARGEST:  # NaN neither
            return None, (
                f"the header's slice thickness of {number * unit:g} mm is not plausible: the spacing is taken",
            )
        numbers.append(number * unit)
    if not numbers:
        return None, ()
    if max(numbers) - min(numbers) > SAME * min(numbers):
        span = f"{min(numbers):g} to {max(numbers):g} mm"
        return None, (f"the slices are of different thickness by the header ({span}): the spacing is taken",)
    return float(np.median(numbers)), ()


def about_distance(stated: Any, distance: float, source: str = "the header") -> tuple[str, ...]:
    """Where a header states another distance (mm) of the slices than lies between them, or one that is none."""
    number = _number(stated)
    if stated in (None, "") or number == 0:
        return ()
    if number is None or not np.isfinite(number):
        return (f"{source} states a distance between slices that is not a number: their positions are used",)
    if agree(abs(number), distance):
        return ()
    return (f"{source} says {number:g} mm between slices, their positions {distance:.3f} mm: used",)


def contradicts(stated: Any, thickness: float, distance: float) -> bool:
    """Whether a header's distance of slices is neither theirs nor, as some programs write it, the gap between them."""
    number = abs(_number(stated) or 0.0)
    return number > 0 and not agree(number, distance) and not agree(number + thickness, distance)


def agree(length: float, other: float) -> bool:
    """Whether two distances are the same, but for rounding."""
    return abs(length - other) <= AGREE * other


def interpolated(thickness: float | None, distance: float) -> Stated:
    """The thickness of a slice of a 3D acquisition: what was acquired holds for it only where slices do not overlap.

    Scanners fill k-space with zeros and give twice the slices, each as thick as before by its header. Such slices are
    sinc-interpolated: they lack fine detail, but nothing coarser is blurred as a box that wide would. The box of one
    spacing is nearer to them.
    """
    if thickness is None or thickness <= distance * (1 + SAME):
        return thickness, ()
    return None, (
        f"a 3D acquisition of slices of {thickness:g} mm, one every {distance:.4g} mm: slices between them were "
        "interpolated by the scanner, so the spacing is taken",
    )


def is_three_dimensional(acquisition: Any, image_type: Any) -> bool:
    """Whether slices are partitions of a 3D acquisition as they came, none cut from it later and averaged (MPR)."""
    kinds = {str(word).upper() for word in image_type} if isinstance(image_type, Sequence) else set()
    return str(acquisition or "").upper() == "3D" and kinds.isdisjoint(("MPR", "REFORMATTED", "AVERAGE"))


def _number(value: Any) -> float | None:
    if isinstance(value, bool):
        return None
    try:
        return float(value)
    except (TypeError, ValueError):
        return None
