"""The grids on which the volumes of a DICOM series lie: one is read, of several the user names one."""

from __future__ import annotations

import re
from collections.abc import Hashable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from medsr.core.errors import InputError, UsageError
from medsr.io.dicom.terms import term
from medsr.io.volumes.dicom import content, split
from medsr.io.volumes.dicom import stack as dicom_stack
from medsr.io.volumes.dicom.stack import Frame
from medsr.io.volumes.dicom.tags import order_of, value_of

MOST_LISTED = 9
SAME_GRID = 0.05
"""Millimetres by which the positions of volumes on one grid may differ: some scanners write two decimals."""
HIDDEN = ("SeriesDescription", "AcquisitionTime", "SeriesTime")
"""What says more of a person than of the image: free text, and when somebody was where; dates too."""
SHOWN = tuple(key for key in (*split.STRONG, *split.WEAK) if key not in HIDDEN and "Date" not in key)
FREE_TEXT = "ContrastBolusAgent"
"""Said to be there or not, as any text may stand in it."""


@dataclass(frozen=True)
class SeriesGrid:
    """Volumes whose slices lie in the same places, in order of acquisition; `normal`: of their slices, LPS."""

    volumes: list[list[Frame]]
    normal: NDArray[np.float64]


def parse_series(series: str | None) -> tuple[str | None, int | None]:
    """`UID:N`, `UID` or `:N` as the series and which of its grids, counted from 1; a description may stand for a UID.

    Raises UsageError where a UID or nothing stands before something that is no such number.
    """
    uid, colon, number = (series or "").rpartition(":")
    if series is None or not colon:
        return series, None
    if not number.isdecimal() or int(number) < 1:
        if re.search("[^0-9.]", uid):  # a description with a colon of its own
            return series, None
        raise UsageError(f"`series={series}`: expected a number above 0 after the colon")
    return uid or None, int(number)


def grids_of(frames: list[Frame], name: str) -> list[SeriesGrid]:
    """The grids of one series, in order of acquisition.

    Slices of another size, spacing or orientation have grids of their own, and so have parts of complex values.
    Raises InputError for slices whose axes are not at right angles.
    """
    grids: list[SeriesGrid] = []
    for stack in _stacks(frames):
        ordered, normal = dicom_stack.sort_slices(stack, name)
        for volume in split.volumes_of(ordered, normal):
            grid = next((grid for grid in grids if _fits(grid.volumes[0], volume)), None)
            if grid is None:
                grids.append(SeriesGrid([volume], normal))
            else:
                grid.volumes.append(volume)
    return sorted(grids, key=lambda grid: order_of(grid.volumes[0]))


def choose(grids: list[SeriesGrid], number: int | None, path: Path) -> tuple[list[list[Frame]], NDArray[np.float64]]:
    """The volumes of the one grid, or of the named one, and the normal of their slices.

    Raises UsageError where there are several grids and none is named; InputError where none has two slices.
    """
    if number is None and len(grids) > 1 and all(len(grid.volumes[0]) == 1 for grid in grids):
        raise InputError(f"{path}: none of its {len(grids)} slices lies parallel behind another: not a volume")
    if number is None and len(grids) == 1:
        number = 1
    if number is not None and number <= len(grids):
        return grids[number - 1].volumes, grids[number - 1].normal
    listed = "; ".join(f":{n} ({_describe(grid, grids)})" for n, grid in enumerate(grids[:MOST_LISTED], 1))
    more = f"; and {len(grids) - MOST_LISTED} more" if len(grids) > MOST_LISTED else ""
    count = "1 acquisition" if len(grids) == 1 else f"{len(grids)} acquisitions that do not make one volume"
    raise UsageError(f"{path}: its series holds {count}; name one with `series=:N` or UID:N: {listed}{more}")


def _stacks(frames: list[Frame]) -> list[list[Frame]]:
    """Frames of one size, spacing and orientation."""
    stacks: list[list[Frame]] = []
    for frame in frames:
        same = (stack for stack in stacks if dicom_stack.is_parallel(stack[0], frame))
        if (stack := next(same, None)) is not None:
            stack.append(frame)
        else:
            stacks.append([frame])
    return stacks


def _fits(first: list[Frame], second: list[Frame]) -> bool:
    return (
        len(first) == len(second)
        and dicom_stack.is_parallel(first[0], second[0])
        and content.component(first) == content.component(second)
        and all(np.allclose(a.position, b.position, atol=SAME_GRID) for a, b in zip(first, second, strict=True))
    )


def _describe(grid: SeriesGrid, grids: list[SeriesGrid]) -> str:
    """How many volumes and slices, and the first thing in which the grids differ."""
    first = grid.volumes[0][0].dataset
    count = f"{len(grid.volumes)} volumes of " if len(grid.volumes) > 1 else ""
    slices = len(grid.volumes[0])
    words = f"{count}{slices} slice{'s' * (slices > 1)}, {term(first.Columns)}x{term(first.Rows)}"
    for keyword in SHOWN:
        values = [{value_of(frame, keyword) for volume in other.volumes for frame in volume} for other in grids]
        if all(len(value) == 1 for value in values) and len(set.union(*values)) == len(grids):
            value = next(iter(values[grids.index(grid)]))
            return f"{words}, {_header_words(keyword, value)}"
    return words


def _header_words(keyword: str, value: Hashable) -> str:
    if keyword == FREE_TEXT:
        return f"{'with' if value else 'without'} {keyword}"
    parts = value if isinstance(value, tuple) else (value,)
    words = "/".join(term(part) for part in parts if part != "")
    return f"{keyword} {words or 'empty'}"
