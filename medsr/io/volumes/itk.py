"""NRRD and MetaImage, through SimpleITK."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medsr.core.errors import InputError, UsageError
from medsr.core.geometry import LPS
from medsr.core.text import shown
from medsr.io import expansion
from medsr.io.files import utf8_name
from medsr.io.volumes import metaimage, nrrd, nrrd_write, thickness, volume_files
from medsr.io.volumes.base import (
    METAIMAGE,
    NO_CHOICE,
    NRRD,
    SIMPLEITK,
    GeometryChoice,
    Volume,
    check_memory,
    check_shape,
    check_stated,
    slice_axis,
)
from medsr.io.volumes.formats import HEADERS

FIELDS = (
    *("type", "encoding", "endian", "dimension", "sizes", "space", "space_dimension", "space_directions", "kinds"),
    *("space_origin", "spacings", "centers", "thicknesses", "measurement_frame", "line_skip", "byte_skip"),
)
"""Of an NRRD, as ITK's functions are called that read them."""


def read_nrrd(path: Path, choice: GeometryChoice = NO_CHOICE) -> Volume:
    """Read the stored values and geometry of an NRRD. Raises InputError naming the file."""
    header = nrrd.read_header(path)
    notes = check_stated(header.stated, choice, str(path)) + nrrd.notes_of(header)
    series = header.axis is not None
    with nrrd.readable(path, header) as source:
        volume = from_image(_image(source, path, series), NRRD, series)
    volume = replace(volume, extra=header, time_step=nrrd.time_step(header, volume.time_step), notes=notes)
    volume = _placed(volume, header.stated, nrrd.scale_of(header), choice)
    volume = _with_thickness(volume, header.thicknesses, nrrd.scale_of(header))
    if not header.timed:
        return volume
    return replace(volume, affine=np.diag([*header.signs, 1.0]) @ LPS @ volume.affine)  # ITK looks at three axes only


def read_metaimage(path: Path, choice: GeometryChoice = NO_CHOICE) -> Volume:
    """Read the stored values and geometry of a MetaImage. Raises InputError naming the file."""
    fields = metaimage.check_header(path)
    stated, notes = metaimage.look(fields, path)
    notes = check_stated(stated, choice, str(path)) + notes
    volume = from_image(_image(path, path, series=False, verify=metaimage.verify), METAIMAGE)
    volume = _placed(replace(volume, notes=notes), stated, metaimage.scale_of(fields), choice)
    return _with_thickness(volume, metaimage.thicknesses(fields), metaimage.scale_of(fields))


def _placed(volume: Volume, stated: bool, scale: float, choice: GeometryChoice) -> Volume:
    """The volume in mm. `scale`: of the header's unit. `stated`: whether the header states the voxel spacing."""
    factors = np.array([scale, scale, scale] if stated else choice.spacing, float)
    affine = volume.affine @ np.diag([*factors, 1.0])
    affine[:3, 3] = volume.affine[:3, 3] * scale
    notes = volume.notes
    if choice.form is not None:
        notes += (f"affine={choice.form} is not used: only NIfTI has an sform and a qform",)
    return replace(volume, affine=affine, notes=notes)


def _with_thickness(volume: Volume, thicknesses: list[str], scale: float) -> Volume:
    """The volume with what its header says of each axis' thickness, of which its slices' counts. `scale`: to mm."""
    axis = slice_axis(volume)
    if axis >= len(thicknesses) or thicknesses[axis].lower() == "nan":  # NRRD's word for none
        return volume
    mm, notes = thickness.thickness_of(thicknesses[axis : axis + 1], scale)
    return replace(volume, thickness=mm, notes=volume.notes + notes)


def _image(source: Path, path: Path, series: bool, verify: Callable[[Path], None] | None = None) -> Any:
    """ITK's image of `source`; errors name `path`. `series`: whether several numbers a voxel are volumes.

    `verify`: raises InputError for voxels that ITK would read without a word, after its header was looked at.
    """
    data = [file for file in volume_files.files_of(source) if file != source and file.is_relative_to(source.parent)]
    packed = sum(file.stat().st_size for file in {source, *data} if file.is_file())
    with utf8_name(source, data) as named:
        reader = _checked_reader(named, path, series, packed)
        if verify is not None:
            verify(path)
        with _in_our_words(path):
            return reader.Execute()


def _checked_reader(source: Path, path: Path, series: bool, packed: int) -> Any:
    sitk = _simpleitk()
    reader = sitk.ImageFileReader()
    reader.SetFileName(str(source))
    with _in_our_words(path):
        reader.ReadImageInformation()
    components = reader.GetNumberOfComponents()
    if components != 1 and not series:
        raise InputError(f"{path}: {components} numbers a voxel (colour or vectors) are not handled, only one")
    if "complex" in sitk.GetPixelIDValueAsString(reader.GetPixelID()).lower():
        raise InputError(f"{path}: complex voxels are not handled, only one number a voxel")
    check_shape(reader.GetSize(), str(path))
    check_memory((*reader.GetSize(), components), 4, str(path))
    bits = re.search(r"(\d+)-bit", sitk.GetPixelIDValueAsString(reader.GetPixelID()))
    bytes_per_voxel = components * int(bits[1]) / 8 if bits else components
    expansion.check(float(np.prod([float(n) for n in reader.GetSize()])) * bytes_per_voxel, packed, str(path))
    return reader


@contextmanager
def _in_our_words(path: Path) -> Iterator[None]:
    """ITK quotes values of the header, some without quotation marks; a person may be named there."""
    try:
        yield
    except RuntimeError as error:
        field = next((name for name in FIELDS if f"Parse_{name}:" in str(error)), None)
        message = f"its header's {field.replace('_', ' ')} is not understood" if field else "ITK cannot read it"
        raise InputError(f"{path}: damaged or not a readable volume ({message})") from error


def from_image(image: Any, kind: str, series: bool = False) -> Volume:
    """A SimpleITK image of 3 or 4 dimensions as a volume; its metadata and time axis are kept for the way back.

    `series`: its numbers a voxel are volumes that follow each other.
    """
    sitk = _simpleitk()
    dimension = image.GetDimension()
    check_shape(image.GetSize(), "the image")
    if image.GetNumberOfComponentsPerPixel() != 1 and not series:
        raise InputError("several numbers a voxel (colour or vectors) are not handled, only one")
    stored = np.ascontiguousarray(sitk.GetArrayFromImage(image))
    stored = stored.transpose(2, 1, 0, 3) if series and stored.ndim == 4 else stored.T
    stored = stored[..., None] if series and stored.ndim == 3 else stored
    direction = np.array(image.GetDirection()).reshape(dimension, dimension)
    affine = np.eye(4)
    affine[:3, :3] = direction[:3, :3] * np.array(image.GetSpacing()[:3])
    affine[:3, 3] = image.GetOrigin()[:3]
    if dimension == 4 and not np.array_equal(direction[3], [0, 0, 0, 1]):
        raise InputError("a 4D image whose time axis is turned into space is not handled")
    time = (image.GetOrigin()[3], image.GetSpacing()[3]) if dimension == 4 else (0.0, 1.0)
    names = (key for key in image.GetMetaDataKeys() if not key.startswith(("ITK_", "NRRD_")))
    keys = {_clean(key): _clean(image.GetMetaData(key)) for key in names}
    return Volume(stored, LPS @ affine, kind, extra=(time, keys), time_step=time[1])


def _clean(text: str) -> str:
    """Text without the bytes that are none: ITK hands them out and does not take them back."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def check(path: Path, volume: Volume) -> None:
    """Raise UsageError for what these formats cannot hold: a sheared grid, some names."""
    if path.suffix.lower() in HEADERS and (path.stem != shown(path.stem) or path.stem != path.stem.strip()):
        raise UsageError(f"{path}: a header cannot name its data file so; rename it, or choose .nii.gz, .nrrd or .mha")
    affine = volume.affine[:3, :3]
    directions = affine / np.sqrt((affine**2).sum(axis=0))
    sheared = not np.allclose(directions.T @ directions, np.eye(3), atol=1e-4)
    if sheared and volume.kind not in (NRRD, METAIMAGE, SIMPLEITK):  # those came with it
        raise UsageError(f"{path}: a sheared grid (gantry tilt) can only be written as NIfTI: few programs expect it")


def to_image(volume: Volume) -> Any:
    """A volume as a SimpleITK image."""
    sitk = _simpleitk()
    affine = LPS @ volume.affine
    spacing = np.sqrt((affine[:3, :3] ** 2).sum(axis=0))
    direction = affine[:3, :3] / spacing
    image = sitk.GetImageFromArray(volume.stored.T, isVector=False)
    same_format = volume.kind in (METAIMAGE, SIMPLEITK) and volume.extra is not None
    (start, step), keys = volume.extra if same_format else ((0.0, volume.time_step), _pairs(volume))
    series = volume.stored.ndim == 4
    image.SetSpacing([*map(float, spacing), *([step] if series else [])])
    image.SetOrigin([*map(float, affine[:3, 3]), *([start] if series else [])])
    directions: NDArray[np.float64] = np.eye(volume.stored.ndim)
    directions[:3, :3] = direction
    image.SetDirection(directions.ravel().tolist())
    for key, value in keys.items():
        image.SetMetaData(key, value)
    return image


def write_nrrd(path: Path, volume: Volume) -> None:
    """Write an NRRD, compressed."""
    check(path, volume)
    nrrd_write.write(path, volume, volume.extra if volume.kind == NRRD else None, _pairs(volume))


def write_metaimage(path: Path, volume: Volume) -> None:
    """Write a MetaImage, compressed."""
    check(path, volume)
    with utf8_name(path) as named:
        _simpleitk().WriteImage(to_image(volume), str(named), useCompression=True)


def _pairs(volume: Volume) -> dict[str, str]:
    """Keys and their values, as both formats have them."""
    if volume.kind == NRRD and volume.extra is not None:
        return dict(volume.extra.pairs)
    return dict(volume.extra[1]) if volume.kind == METAIMAGE and volume.extra is not None else {}


def _simpleitk() -> Any:
    import SimpleITK

    SimpleITK.ProcessObject.SetGlobalWarningDisplay(False)
    return SimpleITK
