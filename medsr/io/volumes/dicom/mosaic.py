"""Siemens mosaics: all slices of a volume as tiles of one picture, told apart by the private header of the scanner."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medsr.core.errors import InputError
from medsr.io.volumes.dicom.stack import Frame, Open

REPAIR = "; export it with the private tags of the scanner, or convert it to NIfTI where it was made"


def is_mosaic(dataset: Any) -> bool:
    """Whether its pixels are tiles, each a slice."""
    kinds = dataset.get("ImageType") or []
    return "MOSAIC" in [str(kind).upper() for kind in ([kinds] if isinstance(kinds, str) else kinds)]


def frames_of(name: str, opener: Open, dataset: Any, rescale: tuple[float, float]) -> Iterator[Frame]:
    """The slices of a mosaic, each where it lies. Raises InputError where the header does not say how many and where.

    All share a header of the size of one tile that is no longer called a mosaic, and is one time point.
    """
    shape, first, step = _geometry(name, dataset)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the file, which is closed and not needed
        head = copy.deepcopy(dataset)
    head.remove_private_tags()
    head.Rows, head.Columns = shape[0], shape[1]
    head.ImageType = [kind for kind in dataset.ImageType if str(kind).upper() != "MOSAIC"]
    if "TemporalPositionIdentifier" not in head:
        head.TemporalPositionIdentifier = dataset.get("InstanceNumber")
    cosines = np.array(dataset.ImageOrientationPatient, float)
    spacing = float(dataset.PixelSpacing[0]), float(dataset.PixelSpacing[1])
    for index in range(shape[2]):
        yield Frame(name, opener, head, index, first + index * step, cosines, spacing, rescale)


def split(picture: NDArray, rows: int, columns: int) -> NDArray:
    """(tiles, rows, columns) of a mosaic's pixels, empty tiles included."""
    down, across = picture.shape[0] // rows, picture.shape[1] // columns
    tiles = picture.reshape(down, rows, across, columns).transpose(0, 2, 1, 3)
    return tiles.reshape(-1, rows, columns)


def _geometry(name: str, dataset: Any) -> tuple[tuple[int, int, int], NDArray[np.float64], NDArray[np.float64]]:
    """Rows, columns and number of the tiles; where the first lies, and from one to the next (LPS, mm)."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of its readers being young
        from nibabel.nicom.dicomwrappers import MosaicWrapper

        try:
            mosaic = MosaicWrapper(dataset)
            shape, first, normal = mosaic.image_shape, mosaic.image_position, mosaic.slice_normal
        except Exception as error:  # a private header is as odd as its writers
            raise InputError(
                f"{name}: a Siemens mosaic, and the private header (CSA) that tells its slices apart is missing or "
                f"damaged{REPAIR}"
            ) from error
    between = dataset.get("SpacingBetweenSlices")
    if shape is None or first is None or normal is None or not between:
        raise InputError(f"{name}: a Siemens mosaic without position or distance of its slices{REPAIR}")
    if dataset.Rows % mosaic.mosaic_size or dataset.Columns % mosaic.mosaic_size:
        raise InputError(f"{name}: a Siemens mosaic that does not divide into {shape[2]} equal slices{REPAIR}")
    step = abs(float(between)) * normal
    if not np.isfinite([*first, *step]).all():
        raise InputError(f"{name}: a Siemens mosaic with a damaged position{REPAIR}")
    return (int(shape[0]), int(shape[1]), int(shape[2])), first, step
