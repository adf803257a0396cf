"""`medsr.volume` on what is already in memory: arrays, nibabel images, SimpleITK images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medsr.core.errors import UsageError
from medsr.io.metadata import describing_volume
from medsr.io.volumes import itk, nibabel_io
from medsr.io.volumes import volume as volume_io
from medsr.io.volumes.base import (
    NO_CHOICE,
    SIMPLEITK,
    GeometryChoice,
    Volume,
    check_dtype,
    check_finite,
    check_shape,
    without_trailing_ones,
)
from medsr.volumes.choose_model import choose_model
from medsr.volumes.models import LoadedSliceModel
from medsr.volumes.refine_scan import refine_scan
from medsr.volumes.request import Request
from medsr.volumes.stacks.join import join
from medsr.volumes.stacks.request import JoinRequest

NAME = "the volume"
Affines = NDArray | str | Sequence[NDArray | None] | None
"""Of one volume or of several: matrices, or which form of a NIfTI header."""


@dataclass(frozen=True, eq=False)
class Result:
    """A refined volume. `image` and `uncertainty` (None if not asked for) are of the type of the image given.

    `affine`: (4, 4), voxel index to millimetres, RAS+. `summary`: what the sidecar of a file would say. `coverage`: of
    volumes put together with `uncertainty`, how many of them cover a voxel.
    """

    image: Any
    affine: NDArray[np.float64]
    uncertainty: Any
    summary: dict[str, Any]
    coverage: Any = None


def is_image(image: Any) -> bool:
    """Whether it is a volume and no path."""
    return isinstance(image, np.ndarray) or hasattr(image, "dataobj") or _is_sitk(image)


def are_images(images: Any) -> bool:
    """Whether it is a list of volumes. Raises UsageError where there are paths among them."""
    if not isinstance(images, list | tuple) or not any(map(is_image, images)):
        return False
    if not all(map(is_image, images)):
        raise UsageError("`scans`: expected paths, or volumes in memory, not both")
    return True


def refine_image(image: Any, affine: Affines, request: Request, engine: LoadedSliceModel) -> Result:
    """Refine one volume in memory. Raises UsageError for an array without its affine, InputError for a bad volume."""
    if not is_image(image):
        raise UsageError("several volumes in memory: `together` puts them into one; else call once for each")
    matrix: Any = affine
    if matrix is not None and not isinstance(matrix, str) and np.ndim(matrix) != 2:
        raise UsageError("`affine`: expected one matrix for one volume")
    volume = _checked(image, matrix, request, NAME)
    outcome = refine_scan(volume, choose_model(request, engine, volume))
    spread = outcome.uncertainty
    return Result(
        _like(image, outcome.volume),
        outcome.volume.affine,
        None if spread is None else _like(image, spread),
        outcome.summary,
    )


def join_images(
    images: Any, affine: Affines, request: Request, joining: JoinRequest, engine: LoadedSliceModel
) -> Result:
    """Put volumes in memory together; the result is of the first one's type. Raises as `refine_image`, or `join`.

    `affine`: of arrays, a matrix for each; None in the place of an image, which has its own.
    """
    if is_image(images):
        raise UsageError("`together`: takes a list of two volumes or more")
    affines = _affines(affine, len(images))
    names = [f"volume {number}" for number in range(1, len(images) + 1)]
    volumes = [
        _checked(image, matrix, request, name) for image, matrix, name in zip(images, affines, names, strict=True)
    ]
    like = None if joining.like is None else volume_io.read(joining.like)
    resolved = [choose_model(request, engine, volume) for volume in volumes]
    joined = join(list(zip(names, volumes, strict=True)), resolved, joining, like)
    maps = (None if volume is None else _like(images[0], volume) for volume in (joined.uncertainty, joined.coverage))
    uncertainty, coverage = maps
    image = _like(images[0], joined.volume)
    return Result(image, joined.volume.affine, uncertainty, joined.summary, coverage)


def _affines(affine: Affines, count: int) -> list[Any]:
    if affine is None or isinstance(affine, str):
        return [affine] * count
    if len(affine) != count or any(matrix is not None and np.shape(matrix) != (4, 4) for matrix in affine):
        raise UsageError(f"`affine`: expected a (4, 4) matrix for each of the {count} volumes, in a list")
    return list(affine)


def _checked(image: Any, affine: Any, request: Request, name: str) -> Volume:
    """A volume in memory as a reader would give it. Raises UsageError or InputError."""
    volume = _volume(image, affine, request.choice)
    check_shape(volume.stored.shape, name)
    check_dtype(volume.stored.dtype, name)
    volume.grid.check(name)
    check_finite(volume.stored, name)
    return volume if request.keep_metadata else describing_volume(volume)


def _volume(image: Any, affine: NDArray | str | None, choice: GeometryChoice) -> Volume:
    if isinstance(image, np.ma.MaskedArray):
        raise UsageError("a masked array: fill the masked voxels first")
    if isinstance(image, np.ndarray):
        if affine is None or np.shape(affine) != (4, 4) or choice != NO_CHOICE:
            raise UsageError("an array needs its affine: a (4, 4) matrix, voxel index to millimetres")
        return Volume(image.reshape(without_trailing_ones(image.shape)), np.asarray(affine, float))
    if affine is not None and not isinstance(affine, str):
        raise UsageError("`affine`: an image has its own; leave the matrix away")
    if _is_sitk(image):
        if choice != NO_CHOICE:
            raise UsageError("`affine` and `input_spacing`: a SimpleITK image states both; leave them away")
        return itk.from_image(image, SIMPLEITK)
    return nibabel_io.from_image(image, choice)


def _like(image: Any, volume: Volume) -> Any:
    if isinstance(image, np.ndarray):
        return volume.stored.reshape(volume.stored.shape + (1,) * (image.ndim - volume.stored.ndim))
    return itk.to_image(volume) if _is_sitk(image) else nibabel_io.to_image(volume)


def _is_sitk(image: Any) -> bool:
    return type(image).__module__.startswith("SimpleITK") and type(image).__name__ == "Image"
