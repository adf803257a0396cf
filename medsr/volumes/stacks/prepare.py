"""Scans as stacks: checked, turned to one order of axes, in unit values."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from medsr.core.errors import InputError, UsageError
from medsr.core.geometry import Grid
from medsr.core.intensity import Window
from medsr.core.types import Array
from medsr.io.volumes.base import Volume, slice_axis
from medsr.io.volumes.periodic import is_phase
from medsr.volumes.background import Background
from medsr.volumes.labels import is_labels
from medsr.volumes.noise import of_scan
from medsr.volumes.orientation import Canonical
from medsr.volumes.request import Request
from medsr.volumes.slice_thickness import slice_thickness
from medsr.volumes.stacks.acquired import SliceStack
from medsr.volumes.stacks.grids import check_axes
from medsr.volumes.stacks.intensities import Match
from medsr.volumes.stacks.joined import NamedVolume
from medsr.volumes.stacks.on_grid import index_matrix


def check(stacks: Sequence[NamedVolume], request: Request) -> None:
    """Raise UsageError or InputError for what cannot be put together."""
    if len(stacks) < 2:
        raise UsageError("`together`: takes two scans or more of the same body part")
    if request.kind == "labels":
        raise UsageError("`kind=labels`: label maps are not put together")
    for name, volume in stacks:
        if volume.volumes > 1:
            raise InputError(f"{name}: {volume.volumes} volumes (4D); `together` takes scans of one volume each")
        if request.kind == "auto" and is_labels(volume):
            raise InputError(f"{name}: a label map; `together` takes scans (`kind=image` if it is one)")
        if is_phase(volume):
            raise InputError(f"{name}: a phase image; its values wrap, so they are not put together")
        check_axes(volume.grid, name)


def canonical_grid(volume: Volume) -> Grid:
    """The grid of a volume whose axes are turned to right, anterior and superior."""
    from nibabel.orientations import inv_ornt_aff

    turn = Canonical(volume)
    affine = volume.affine @ inv_ornt_aff(turn.orientation, volume.grid.shape)
    return Grid(turn.shape(volume.grid.shape), affine)


def values_of(volume: Volume) -> Array:
    """What its stored values mean, axes to right, anterior and superior; its background filled."""
    filled = Background(volume, Canonical(volume), 0).filled()
    result: Array = filled.astype(np.float32) * np.float32(volume.slope) + np.float32(volume.intercept)
    return np.ascontiguousarray(result)


def in_own_units(name: str, volume: Volume, values: Array, request: Request) -> SliceStack:
    """A scan in unit values of its own range."""
    thickness = slice_thickness(volume, request.thickness).mm
    window = Window.of_values(values)
    unit = window.to_unit(values)
    through = Canonical(volume).order[slice_axis(volume)]
    noise = of_scan(unit)
    return SliceStack(name, unit, canonical_grid(volume), through, thickness, request.method.profile, noise)


def in_units_of_first(stack: SliceStack, values: Array, window: Window, match: Match) -> SliceStack:
    """The same in unit values of the first scan. `window`: of what its values mean."""
    unit = window.to_unit((values - np.float32(match.offset)) / np.float32(match.gain))
    own_window = Window.of_values(values)
    noise = stack.noise * (own_window.high - own_window.low) / match.gain / (window.high - window.low)
    return SliceStack(stack.name, unit, stack.grid, stack.through, stack.thickness, stack.profile, noise)


def constant(stack: SliceStack, common: Grid, motion: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Where, on the common grid, nothing varies in the stack; where it shows nothing as well."""
    from scipy.ndimage import maximum_filter, minimum_filter

    still = maximum_filter(stack.values, 3, mode="nearest") == minimum_filter(stack.values, 3, mode="nearest")
    return _at_nearest(still.astype(np.float32), stack, common, motion, 1.0) > 0


def nearest(stack: SliceStack, common: Grid, motion: NDArray[np.float64]) -> tuple[Array, NDArray[np.bool_]]:
    """The value of the nearest voxel of the stack, and where it has one."""
    values = _at_nearest(stack.values, stack, common, motion, np.nan)
    return values, ~np.isnan(values)


def _at_nearest(values: Array, stack: SliceStack, common: Grid, motion: NDArray[np.float64], outside: float) -> Array:
    from scipy.ndimage import affine_transform

    matrix = index_matrix(stack.grid, common, motion)
    linear, shift = matrix[:3, :3], matrix[:3, 3]
    result: Array = affine_transform(values, linear, shift, common.shape, np.float32, 0, "grid-constant", outside)
    return result


def affine_in_order(grid: Grid, turn: Canonical) -> NDArray[np.float64]:
    """Of a canonical grid, when its axes are put in the order of a file."""
    from nibabel.orientations import axcodes2ornt, inv_ornt_aff, ornt_transform

    back = ornt_transform(axcodes2ornt(("R", "A", "S")), turn.orientation)
    result: NDArray[np.float64] = grid.affine @ inv_ornt_aff(back, grid.shape)
    return result


def limits_of(dtype: np.dtype) -> tuple[float, float]:
    """The least and the largest that a data type holds."""
    limits = np.iinfo(dtype) if dtype.kind in "iu" else np.finfo(dtype)
    return float(limits.min), float(limits.max)
