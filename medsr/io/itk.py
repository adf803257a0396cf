"""NRRD and MetaImage, through SimpleITK."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medsr.errors import InputError, UsageError
from medsr.geometry import LPS
from medsr.io import metaimage
from medsr.io.volume_base import METAIMAGE, NRRD, Volume, check_memory, check_shape, plain

DTYPES = ("uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "int64", "float32", "float64")


def read(path: Path) -> Volume:
    """Read the stored values and geometry. Raises InputError naming the file."""
    sitk = _simpleitk()
    if path.suffix.lower() in (".mha", ".mhd"):
        metaimage.check_header(path)
    reader = sitk.ImageFileReader()
    reader.SetFileName(str(path))
    reader.ReadImageInformation()
    components = reader.GetNumberOfComponents()
    if components != 1:
        raise InputError(f"{path}: {components} numbers a voxel (colour or vectors) are not handled, only one")
    if "complex" in sitk.GetPixelIDValueAsString(reader.GetPixelID()).lower():
        raise InputError(f"{path}: complex voxels are not handled, only one number a voxel")
    check_shape(reader.GetSize(), str(path))
    check_memory(reader.GetSize(), 4, str(path))
    if path.suffix.lower() in (".mha", ".mhd"):
        metaimage.verify(path)
    image = reader.Execute()
    return from_image(image, NRRD if path.suffix.lower() in (".nrrd", ".nhdr") else METAIMAGE)


def from_image(image: Any, kind: str) -> Volume:
    """A SimpleITK image of 3 or 4 dimensions as a volume; its metadata and time axis are kept for the way back."""
    sitk = _simpleitk()
    dimension = image.GetDimension()
    check_shape(image.GetSize(), "the image")
    if image.GetNumberOfComponentsPerPixel() != 1:
        raise InputError("several numbers a voxel (colour or vectors) are not handled, only one")
    stored = np.ascontiguousarray(sitk.GetArrayFromImage(image)).T
    direction = np.array(image.GetDirection()).reshape(dimension, dimension)
    affine = np.eye(4)
    affine[:3, :3] = direction[:3, :3] * np.array(image.GetSpacing()[:3])
    affine[:3, 3] = image.GetOrigin()[:3]
    if dimension == 4 and not np.array_equal(direction[3], [0, 0, 0, 1]):
        raise InputError("a 4D image whose time axis is turned into space is not handled")
    time = (image.GetOrigin()[3], image.GetSpacing()[3]) if dimension == 4 else (0.0, 1.0)
    keys = {key: image.GetMetaData(key) for key in image.GetMetaDataKeys() if not key.startswith(("ITK_", "NRRD_"))}
    return Volume(stored, LPS @ affine, kind, extra=(time, keys), time_step=time[1])


def check(path: Path, volume: Volume) -> None:
    """Raise UsageError for what these formats cannot hold: a sheared grid, values of some types."""
    affine = volume.affine[:3, :3]
    directions = affine / np.sqrt((affine**2).sum(axis=0))
    if not np.allclose(directions.T @ directions, np.eye(3), atol=1e-4):
        raise UsageError(f"{path}: a sheared grid (gantry tilt) can only be written as NIfTI: ITK knows no shear")
    if not volume.scaled() and volume.stored.dtype.name not in DTYPES:
        raise UsageError(f"{path}: this format cannot hold {volume.stored.dtype} values; choose .nii.gz")


def to_image(volume: Volume) -> Any:
    """A volume as a SimpleITK image."""
    sitk = _simpleitk()
    affine = LPS @ volume.affine
    spacing = np.sqrt((affine[:3, :3] ** 2).sum(axis=0))
    direction = affine[:3, :3] / spacing
    image = sitk.GetImageFromArray(volume.stored.T, isVector=False)
    own = volume.kind in (NRRD, METAIMAGE, "SimpleITK") and volume.extra is not None
    (start, step), keys = volume.extra if own else ((0.0, volume.time_step), {})
    series = volume.stored.ndim == 4
    image.SetSpacing([*map(float, spacing), *([step] if series else [])])
    image.SetOrigin([*map(float, affine[:3, 3]), *([start] if series else [])])
    turned: NDArray[np.float64] = np.eye(volume.stored.ndim)
    turned[:3, :3] = direction
    image.SetDirection(turned.ravel().tolist())
    for key, value in keys.items():
        image.SetMetaData(key, value)
    return image


def write(path: Path, volume: Volume) -> None:
    """Write NRRD or MetaImage, compressed."""
    check(path, volume)
    sitk = _simpleitk()
    sitk.WriteImage(to_image(plain(volume, path, DTYPES)), str(path), useCompression=True)


def _simpleitk() -> Any:
    import SimpleITK

    SimpleITK.ProcessObject.SetGlobalWarningDisplay(False)
    return SimpleITK
