"""What every reader of volumes gives and every writer takes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from medsr.core import memory
from medsr.core.errors import InputError, MemoryExhaustedError, UsageError
from medsr.core.geometry import ISOTROPIC_WITHIN, Grid

NIFTI, ANALYZE, MGH, NRRD, METAIMAGE, DICOM = "NIfTI", "Analyze", "MGH", "NRRD", "MetaImage", "DICOM"
SIMPLEITK = "SimpleITK"
"""The kind of an image of SimpleITK that was never in a file."""
Form = Literal["sform", "qform"]
"""The two ways in which a NIfTI header says where voxels are."""


@dataclass(frozen=True)
class GeometryChoice:
    """What the user says where a header contradicts itself or says nothing.

    `form`: which of NIfTI's two forms is right. `spacing`: mm along each axis of the array, for a header without any.
    """

    form: Form | None = None
    spacing: tuple[float, float, float] | None = None


NO_CHOICE = GeometryChoice()
REPAIR = "; correct the header, or "
"""Of an error, what stands before a choice that only the command line and Python offer."""


@dataclass(frozen=True, eq=False)
class Volume:
    """A 3D scan, or a 4D series of them, as its file stores it.

    `stored`: (i, j, k) or (i, j, k, t), the stored dtype (native byte order) and the stored values; what they mean is
    stored x slope + intercept. `affine`: (4, 4), index to millimetres, RAS+. `kind`: the file format it came in.
    `extra`: what only that format's writer understands (header, data sets). `modality`: DICOM's, where it is known.
    `time_step`: seconds from volume to volume of a series. `notes`: what the user should know about how it was read;
    empty when there is nothing. `labels`: whether the header says that values are the numbers of structures.
    `wrapped`: whether the header says that the values are a phase, which begins anew at its largest; `signed`: that 0
    is in their middle, as in a real part. `elsewhere`: the part of the body, in our words, where the header names
    another than the head; else empty. `background`: (i, j, k) or (i, j, k, t), true where the header declares voxels
    to be background; None where it declares none. `thickness`: mm of one slice, where the header states it and a slice
    can be so thick; None where it does not.
    """

    stored: NDArray
    affine: NDArray[np.float64]
    kind: str = NIFTI
    slope: float = 1.0
    intercept: float = 0.0
    extra: Any = None
    modality: str = ""
    notes: tuple[str, ...] = ()
    time_step: float = 1.0
    labels: bool = False
    wrapped: bool = False
    signed: bool = False
    elsewhere: str = ""
    background: NDArray[np.bool_] | None = None
    thickness: float | None = None

    @property
    def grid(self) -> Grid:
        """Shape of one volume, and the affine."""
        i, j, k = self.stored.shape[:3]
        return Grid((i, j, k), self.affine)

    @property
    def volumes(self) -> int:
        """How many volumes: 1, or the length of the fourth axis."""
        return self.stored.shape[3] if self.stored.ndim == 4 else 1

    def refined(self, stored: NDArray) -> Volume:
        """The same scan holding new values on a grid of another shape over the same box."""
        i, j, k = stored.shape[:3]
        through = slice_axis(self)
        thickness = self.thickness if stored.shape[through] == self.stored.shape[through] else None
        return replace(self, stored=stored, affine=self.grid.on((i, j, k)).affine, background=None, thickness=thickness)

    def scaled(self) -> bool:
        """Whether the stored values are other numbers than the ones they mean."""
        return (self.slope, self.intercept) != (1.0, 0.0)


def slice_axis(volume: Volume) -> int:
    """The axis of the array that runs across the slices: DICOM's last, else the coarsest.

    Of axes that are equally coarse, the one a NIfTI header names (dim_info), else the last.
    """
    if volume.kind == DICOM:
        return 2
    spacing = volume.grid.spacing
    coarsest = [axis for axis in range(3) if max(spacing) / spacing[axis] < ISOTROPIC_WITHIN]
    header: Any = volume.extra[1] if volume.kind == NIFTI and isinstance(volume.extra, tuple) else None
    named = None if header is None else header.get_dim_info()[2]
    return named if named in coarsest else coarsest[-1]


def check_shape(shape: tuple[int, ...], name: str) -> None:
    """Raise InputError for anything but a 3D volume of several slices, or a 4D series of those."""
    dims = " x ".join(str(int(n)) for n in shape)
    if any(int(n) < 1 for n in shape):
        raise InputError(f"{name}: an array of {dims} voxels holds nothing")
    if len(shape) < 3:
        raise InputError(f"{name}: a {len(shape)}D image ({dims}), not a volume; medsr upscale takes PNG, TIFF, DICOM")
    if len(shape) > 4:
        raise InputError(f"{name}: {len(shape)} dimensions ({dims}); medsr volume takes 3D and 4D")
    if min(shape[:3]) < 2:
        raise InputError(f"{name}: one slice ({dims}): not a volume")


def check_dtype(dtype: np.dtype, name: str) -> None:
    """Raise InputError for colours, complex numbers and whatever else is not one plain number a voxel."""
    if dtype.fields or dtype.kind not in "iuf" or dtype.itemsize > 8 or dtype == np.float16:
        what = "RGB" if dtype.fields else str(dtype)
        raise InputError(f"{name}: {what} voxels are not handled, only integers, float32 and float64")


def check_memory(shape: tuple[int, ...], itemsize: int, name: str) -> None:
    """Raise MemoryExhaustedError before reading what the memory cannot hold."""
    wanted = float(np.prod([float(n) for n in shape])) * itemsize
    free = memory.free()
    if wanted > free:
        dims = " x ".join(str(int(n)) for n in shape)
        raise MemoryExhaustedError(f"{name}: {dims} voxels take {wanted / 1e9:.1f} GB, {free / 1e9:.1f} GB are free")


def check_finite(stored: NDArray, name: str) -> None:
    """Raise InputError when voxels are NaN or infinite: they would spread through every filter."""
    if stored.dtype.kind != "f":
        return
    bad = sum(int(np.size(part) - np.count_nonzero(np.isfinite(part))) for part in np.moveaxis(stored, 2, 0))
    if bad:
        raise InputError(f"{name}: {bad} of {stored.size} voxels are NaN or infinite; replace them first")


def plain(volume: Volume, path: Path, dtypes: tuple[str, ...]) -> Volume:
    """The volume ready for a format without slope and intercept that holds `dtypes` only: the same values.

    Scaled values become what they mean in float32; an integer type that is not held becomes the next larger one.
    Raises UsageError when none holds them.
    """
    stored = volume.stored
    if volume.scaled():
        stored = (stored * np.float32(volume.slope) + np.float32(volume.intercept)).astype(np.float32)
    if stored.dtype.name not in dtypes:
        dtype = next((name for name in dtypes if np.can_cast(stored.dtype, np.dtype(name), "safe")), None)
        if dtype is None:
            raise UsageError(f"{path}: this format cannot hold {stored.dtype} values; choose .nii.gz")
        stored = stored.astype(dtype)
    return replace(volume, stored=stored, slope=1.0, intercept=0.0)


def without_trailing_ones(shape: tuple[int, ...]) -> tuple[int, ...]:
    """A shape without the axes of length 1 that follow the fourth."""
    kept = len(shape)
    while kept > 4 and shape[kept - 1] == 1:
        kept -= 1
    return shape[:kept]


def check_stated(stated: bool, choice: GeometryChoice, name: str) -> tuple[str, ...]:
    """Notes on the voxel spacing of a header that states one or not. Raises InputError where nobody states it."""
    if not stated and choice.spacing is None:
        raise InputError(f"{name}: the header states no voxel spacing{REPAIR}give it by `input_spacing` in mm")
    if choice.spacing is None:
        return ()
    if stated:
        return ("`input_spacing` is not used: the header states the voxel spacing",)
    return (f"the header states no voxel spacing: {' x '.join(f'{s:g}' for s in choice.spacing)} mm as given",)
