"""`medsr.volume` on what is already in memory: arrays, nibabel images, SimpleITK images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medsr.core.errors import UsageError
from medsr.io.metadata import describing_volume
from medsr.io.volumes import itk, nibabel_io
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

NAME = "the volume"


@dataclass(frozen=True, eq=False)
class Result:
    """A refined volume. `image` and `uncertainty` (None if not asked for) are of the type of the image given.

    `affine`: (4, 4), voxel index to millimetres, RAS+. `summary`: what the sidecar of a file would say.
    """

    image: Any
    affine: NDArray[np.float64]
    uncertainty: Any
    summary: dict[str, Any]


def is_image(image: Any) -> bool:
    """Whether it is a volume and no path."""
    return isinstance(image, np.ndarray) or hasattr(image, "dataobj") or _is_sitk(image)


def refine_image(image: Any, affine: NDArray | str | None, request: Request, engine: LoadedSliceModel) -> Result:
    """Refine one volume in memory. Raises UsageError for an array without its affine, InputError for a bad volume."""
    volume = _volume(image, affine, request.choice)
    check_shape(volume.stored.shape, NAME)
    check_dtype(volume.stored.dtype, NAME)
    volume.grid.check(NAME)
    check_finite(volume.stored, NAME)
    if not request.keep_metadata:
        volume = describing_volume(volume)
    outcome = refine_scan(volume, choose_model(request, engine, volume))
    spread = outcome.uncertainty
    return Result(
        _like(image, outcome.volume),
        outcome.volume.affine,
        None if spread is None else _like(image, spread),
        outcome.summary,
    )


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
