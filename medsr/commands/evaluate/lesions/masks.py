"""The mask that a reader outlined lesions in: finding an image's, and reading it on the image's grid."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from medsr.commands.evaluate.lesions.mask_values import lesion_values
from medsr.core.errors import InputError
from medsr.core.geometry import Shape
from medsr.core.text import reason
from medsr.core.types import Notify
from medsr.io.images import image as image_io
from medsr.io.kinds import is_image
from medsr.io.listing import files_below
from medsr.io.orientation import picture_as_shown
from medsr.io.volumes import volume as volume_io
from medsr.io.volumes import volume_files
from medsr.volumes.orientation import Canonical

Mask = NDArray[np.bool_]
EXACT = "_mask"
ENDINGS = (EXACT, "_lesions", "_gold_standard", "_seg")
"""What the names of masks end in; upper and lower case are one."""
SEQUENCES = frozenset("flair t1 t1w t1n t1c t1ce t1gd t2 t2w t2f t2star pd pdw swi dwi adc mprage stir dir".split())
"""Last parts of the names of several scans of one patient, which share one mask."""
OFF_GRID = 0.1
"""Part of a voxel by which a corner of the mask may lie off the image's: headers are rounded."""


def find_mask(image: Path, masks: Path | None = None, data: Path | None = None) -> Path:
    """The mask of an image (a picture, a volume or a folder of DICOM slices): `NAME_mask`, or `PATIENT_mask`,
    `PATIENT_lesions`, `PATIENT_GOLD_STANDARD` or `PATIENT_seg`, where `PATIENT` is the name up to its last `_`.

    `masks`: the folder of masks, None for the image's own. `data`: the folder of all images; a mask then lies in the
    same subfolder of `masks`, or in `masks` itself. Raises InputError unless exactly one file is this image's mask and
    no other image's; T1, T2, FLAIR and the like of one patient, in one folder, may share one.
    """
    if masks is not None and not masks.is_dir():
        raise InputError(f"{masks}: not a folder; give the folder that holds the masks")
    own = image.parent
    subfolder = own.relative_to(data) if data is not None and own.is_relative_to(data) else Path()
    folders = [own] if masks is None else list(dict.fromkeys((masks / subfolder, masks)))
    matches = [path for folder in folders for path in _entries(folder, image) if _is_mask_of(path, image)]
    if not matches:
        stem = _stem(image)
        names = " or ".join(dict.fromkeys(f"{name}{EXACT}" for name in (stem, _patient(stem))))
        raise InputError(f"{image}: no mask of its lesions in {folders[-1]}: name it {names}, with any suffix")
    if len(matches) > 1:
        raise InputError(f"{image}: {len(matches)} masks ({', '.join(map(str, matches))}); keep one of them")
    mask = matches[0]
    for other in _images(image, data if mask.parent == masks else None):
        if not _same(other, image) and other != mask and _claims(other, image, mask):
            raise InputError(f"{mask}: the mask of {image} or of {other}? Name it {_stem(image)}{EXACT}")
    return mask


def is_mask_name(path: Path) -> bool:
    """Whether a file is a mask by its name, and no image to be measured."""
    return _stem(path).lower().endswith(ENDINGS)


def read_mask(path: Path, image: Path, notify: Notify) -> Mask:
    """The lesions of a mask, on the grid of its image as it is measured: (H, W) of a picture as it is shown, (I, J, K)
    of a volume turned to right, anterior, superior.

    Label maps: every value above 0. Soft masks, from 0 to 1, and pictures of greys: what is above half. `notify` is
    told where that had to be decided, and of a mask without a lesion. Raises InputError for a damaged file, a mask on
    another grid than its image, and for what is not a mask.
    """
    values = _volume(path, image) if _is_volume(image) else _picture(path, image)
    return lesion_values(values, path, notify)


def leading_part(mask: Mask, shape: tuple[int, ...], path: Path) -> Mask:
    """What remains of a mask where its image was cut to `shape` at the end of its axes. Raises InputError for more."""
    if any(length < kept for length, kept in zip(mask.shape, shape, strict=True)):
        raise InputError(f"{path}: {_dims(mask.shape)} are fewer than the ground truth's {_dims(shape)}")
    return mask[tuple(slice(kept) for kept in shape)]


def _is_mask_of(path: Path, image: Path) -> bool:
    name, stem = _stem(path).lower(), _stem(image).lower()
    return path != image and name in {stem + EXACT, *(_patient(stem) + ending for ending in ENDINGS)}


def _claims(other: Path, image: Path, mask: Path) -> bool:
    """Whether the mask of `image` could be that of another image just as well."""
    if _is_volume(other) != _is_volume(image) or is_mask_name(other) or not _is_mask_of(mask, other):
        return False
    if image.parent == other.parent and {_last(image), _last(other)} <= SEQUENCES:
        return False  # `read_mask` asks that it lies on the grid of each
    name = _stem(mask).lower()
    return name != _stem(image).lower() + EXACT or name == _stem(other).lower() + EXACT


def _images(image: Path, data: Path | None) -> Iterable[Path]:
    """What may be images beside one, or below the folder of all images."""
    if data is None:
        return _entries(image.parent, image)
    files = files_below(data)
    if image.is_dir():
        return sorted({file.parent for file in files})
    return (file for file in files if (_is_volume if _is_volume(image) else _is_picture)(file))


def _entries(folder: Path, image: Path) -> list[Path]:
    """What of a folder may be an image or a mask of the same kind, in order."""
    if not folder.is_dir():
        return []
    entries = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    if _is_volume(image):
        return [path for path in entries if _is_volume(path)]
    return [path for path in entries if path.is_file() and _is_picture(path)]


def _is_volume(path: Path) -> bool:
    return path.is_dir() or volume_files.is_volume(path)


def _is_picture(path: Path) -> bool:
    return is_image(path) or path.suffix.lower() == ".gif"


def _same(path: Path, other: Path) -> bool:
    return path == other or (path.exists() and other.exists() and path.samefile(other))


def _stem(path: Path) -> str:
    if path.is_dir():
        return path.name
    stem, suffix = volume_files.split_suffix(path)
    return stem if suffix else path.stem


def _patient(stem: str) -> str:
    """A name up to its last part; the whole name where it has one part."""
    return stem.rpartition("_")[0] or stem


def _last(path: Path) -> str:
    return _stem(path).lower().rpartition("_")[2]


def _volume(path: Path, image: Path) -> NDArray:
    mask, scan = volume_io.read(path), volume_io.read(image)
    if mask.volumes > 1:
        raise InputError(f"{path}: {mask.volumes} volumes; a mask is one")
    turn, scan_turn = Canonical(mask), Canonical(scan)
    shape, scan_shape = turn.shape(mask.grid.shape), scan_turn.shape(scan.grid.shape)
    if shape != scan_shape:
        raise InputError(
            f"{path}: {_dims(shape)} voxels, its image has {_dims(scan_shape)}; bring the mask onto the image's grid"
        )
    off = np.linalg.inv(_affine(scan, scan_turn)) @ _affine(mask, turn) - np.eye(4)
    corners = np.array([[i, j, k, 1] for i in (0, shape[0]) for j in (0, shape[1]) for k in (0, shape[2])])
    distance = float(np.abs(off @ corners.T).max())
    if distance > OFF_GRID:
        raise InputError(
            f"{path}: lies up to {distance:.2g} voxels off its image, by the headers; bring it onto the image's grid"
        )
    stored = np.ascontiguousarray(turn.view(mask.stored, 0))
    return stored * mask.slope + mask.intercept if mask.scaled() else stored


def _affine(volume: volume_io.Volume, turn: Canonical) -> NDArray[np.float64]:
    from nibabel.orientations import inv_ornt_aff

    turned: NDArray[np.float64] = volume.affine @ inv_ornt_aff(turn.orientation, volume.grid.shape)
    return turned


def _picture(path: Path, image: Path) -> NDArray:
    shape = image_io.read_as_shown(image).pixels.shape[:2]
    try:
        picture = picture_as_shown(path)
        if picture.mode in ("P", "PA", "RGB", "RGBA", "LA", "CMYK", "YCbCr"):
            colours = np.asarray(picture.convert("RGBA"))
            values = np.where(colours[:, :, 3] > 0, colours[:, :, :3].max(axis=2), 0)
        else:
            values = np.asarray(picture)
    except (OSError, ValueError, SyntaxError) as error:
        raise InputError(f"{path}: damaged or not a readable mask ({reason(error, path)})") from error
    if values.shape != shape:
        raise InputError(
            f"{path}: {_dims(values.shape)} pixels, its image has {_dims(shape)} (height x width); they must be equal"
        )
    return values


def _dims(shape: tuple[int, ...] | Shape) -> str:
    return " x ".join(map(str, shape))
