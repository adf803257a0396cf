"""Where voxels are: grids, anatomical planes, and the finer grid over the same physical box."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from medsr.core.errors import InputError, UsageError
from medsr.core.suggest import did_you_mean

Plane = Literal["sagittal", "coronal", "axial"]
PLANES: tuple[Plane, ...] = get_args(Plane)
"""In the order of the anatomical axes they are perpendicular to: left-right, posterior-anterior, inferior-superior."""
ISOTROPIC_WITHIN = 1.05
"""Spacings whose ratio stays below this count as equal."""
LPS = np.diag([-1.0, -1.0, 1.0, 1.0])
"""Turns DICOM's and ITK's axes (left, posterior, superior) into ours (right, anterior, superior), and back."""
Shape = tuple[int, int, int]


@dataclass(frozen=True, eq=False)
class Grid:
    """A box of voxels. `affine`: (4, 4), voxel index to millimetres, towards right, anterior, superior (NIfTI)."""

    shape: Shape
    affine: NDArray[np.float64]

    @property
    def spacing(self) -> tuple[float, float, float]:
        """Millimetres from voxel to voxel along each axis of the array."""
        x, y, z = (float(step) for step in np.sqrt((self.affine[:3, :3] ** 2).sum(axis=0)))
        return x, y, z

    @property
    def planes(self) -> tuple[Plane, ...]:
        """The anatomical plane perpendicular to each axis of the array, by its direction, oblique or not."""
        from nibabel.orientations import io_orientation

        return tuple(PLANES[int(axis)] for axis in io_orientation(self.affine)[:, 0])

    def on(self, shape: Shape) -> Grid:
        """The grid of `shape` voxels over the same physical box, corner to corner."""
        return Grid(shape, self.affine @ index_map(shape, self.shape))

    def check(self, name: str) -> None:
        """Raise InputError, naming the file, where voxels have no place: NaN, zero spacing, axes in one plane."""
        if not np.isfinite(self.affine).all():
            raise InputError(f"{name}: the affine holds NaN or infinity: the voxels have no position")
        if not np.allclose(self.affine[3], [0, 0, 0, 1]):
            raise InputError(f"{name}: the affine's last row is not 0 0 0 1")
        spacing = self.spacing
        if min(spacing) <= 0:
            raise InputError(f"{name}: a voxel spacing of 0 mm ({_text(spacing)})")
        if abs(np.linalg.det(self.affine[:3, :3] / spacing)) < 1e-3:
            raise InputError(f"{name}: the affine is singular: its axes lie in one plane")


def index_map(to: Shape, source: Shape) -> NDArray[np.float64]:
    """(4, 4): index on a grid of shape `to` to the index of the same point on one of shape `source`, same box."""
    ratio = np.asarray(source, float) / np.asarray(to, float)
    mapping = np.diag([*ratio, 1.0])
    mapping[:3, 3] = (ratio - 1) / 2
    return mapping


def finer(grid: Grid, scale: float | None, spacing: tuple[float, ...] | None, isotropic: bool) -> Shape:
    """The shape of the refined grid; at most one of the three may be asked for.

    `scale`: every axis by this factor, 1 for the scan's own grid. `spacing`: millimetres, one number or one for each
    axis of the array. `isotropic`: every axis as fine as the finest, but for those within 5 % of it, which keep their
    voxels: they would only be interpolated. None: isotropic where one axis is coarser, else scale 2. The number of
    voxels is rounded so that they fill the same box. Raises UsageError when that asks for nothing finer.
    """
    check_wish(scale, spacing, isotropic)
    if scale == 1:
        return grid.shape
    spacings = np.array(grid.spacing)
    if scale is None and spacing is None and not isotropic:
        isotropic = spacings.max() / spacings.min() >= ISOTROPIC_WITHIN
        scale = None if isotropic else 2.0
    if scale is not None:
        wanted = spacings / scale
    elif spacing is not None:
        wanted = np.broadcast_to(np.array(spacing, float), 3)
        if (spacings / wanted).max() > 16:
            raise UsageError(
                f"`spacing={_text(spacing)}`: more than 16 times finer than the scan ({_text(spacings)} mm)"
            )
    else:
        wanted = np.where(spacings / spacings.min() < ISOTROPIC_WITHIN, spacings, spacings.min())
    i, j, k = (max(1, round(float(n))) for n in np.round(np.array(grid.shape) * spacings / wanted, 3))
    if min(i, j, k) < 2:
        raise UsageError(f"the refined scan would have {i} x {j} x {k} voxels: no volume any more")
    if not any(new > old for new, old in zip((i, j, k), grid.shape, strict=True)):
        raise UsageError(
            f"nothing to refine: the scan already has {_text(spacings)} mm; ask for `scale=2` or a finer `spacing`"
        )
    return i, j, k


def check_wish(scale: float | None, spacing: tuple[float, ...] | None, isotropic: bool) -> None:
    """Raise UsageError for what no scan could be given."""
    if (scale is not None) + (spacing is not None) + isotropic > 1:
        raise UsageError("choose one of `isotropic`, `scale` and `spacing`")
    if scale is not None and not 1 <= scale <= 16:
        raise UsageError(f"`scale={scale:g}`: expected a factor from 1 (the same grid) to 16")
    if spacing is not None and (len(spacing) not in (1, 3) or not all(0 < step < float("inf") for step in spacing)):
        raise UsageError(f"`spacing={_text(spacing)}`: expected millimetres above 0, one number or three")


def parse_spacing(text: str, parameter: str = "spacing") -> tuple[float, ...]:
    """`0.8` or `0.8,0.8,1.0`. Raises UsageError naming the parameter."""
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise UsageError(f"`{parameter}={text}`: expected millimetres, for example 0.8 or 0.8,0.8,1.0") from None


def parse_planes(text: str) -> tuple[Plane, ...] | None:
    """`auto` (None), `all`, or names with commas between them. Raises UsageError."""
    if text == "auto":
        return None
    if text == "all":
        return PLANES
    names = [name.strip() for name in text.split(",")]
    for name in names:
        if name not in PLANES:
            raise UsageError(
                f"`planes={text}`: {name!r} is none of auto, all, {', '.join(PLANES)}{did_you_mean(name, PLANES)}"
            )
    return tuple(plane for plane in PLANES if plane in names)


def _text(numbers: NDArray | tuple[float, ...]) -> str:
    return " x ".join(f"{number:.4g}" for number in numbers)
