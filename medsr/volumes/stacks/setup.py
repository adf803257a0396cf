"""What is put together: the stacks in the first one's unit values, how they lie, and the common grid."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from medsr.core.geometry import Grid
from medsr.core.intensity import Window
from medsr.core.types import Notify
from medsr.io.volumes.base import Volume
from medsr.volumes.request import Request
from medsr.volumes.stacks import grids, prepare
from medsr.volumes.stacks.acquired import SliceStack
from medsr.volumes.stacks.align import Alignment, align
from medsr.volumes.stacks.joined import NamedVolume
from medsr.volumes.stacks.request import JoinRequest


@dataclass(frozen=True, eq=False)
class JoinSetup:
    """What is put together: `stacks` in unit values of the first one, how they lie, and the grids.

    `grid`: of the result, `common`: the same with a margin. `window`: of the values that the first scan means.
    """

    stacks: list[SliceStack]
    alignment: Alignment
    window: Window
    grid: Grid
    common: Grid


def set_up(
    scans: Sequence[NamedVolume],
    request: Request,
    joining: JoinRequest,
    like: Volume | None,
    motions: Sequence[NDArray[np.float64]] | None,
    warn: Notify,
) -> JoinSetup:
    """Scans as stacks, registered; see `join`. Raises as that does."""
    values = [prepare.values_of(volume) for _, volume in scans]
    own_units = [
        prepare.in_own_units(name, volume, array, request) for (name, volume), array in zip(scans, values, strict=True)
    ]
    alignment = align(own_units, values, joining, motions, warn)
    window = Window.of_values(values[0])
    stacks = [
        prepare.in_units_of_first(stack, array, window, match)
        for stack, array, match in zip(own_units, values, alignment.matches, strict=True)
    ]
    if like is None:
        step = grids.step_of(request.spacing, stacks)
        even = grids.even(stacks[0].grid, step)
        grid = grids.extended(even, [stack.grid for stack in stacks], alignment.motions, joining.extent)
    else:
        reference = prepare.canonical_grid(like)
        grids.check_axes(reference, "`like`")
        grid = grids.even(reference, min(reference.spacing))
        grids.check_reached(grid, [stack.grid for stack in stacks], alignment.motions)
    return JoinSetup(stacks, alignment, window, grid, grids.with_margin(grid))
