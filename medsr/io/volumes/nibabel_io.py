"""NIfTI-1 and -2, Analyze and MGH/MGZ, through nibabel: stored values in, the same kind of file out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from medsr.core.errors import InputError
from medsr.core.geometry import index_map
from medsr.io.volumes import nifti_forms
from medsr.io.volumes.base import (
    ANALYZE,
    MGH,
    NIFTI,
    NO_CHOICE,
    REPAIR,
    GeometryChoice,
    Volume,
    check_dtype,
    check_memory,
    check_shape,
    check_stated,
    without_trailing_ones,
)
from medsr.io.volumes.nifti_file import Opened, as_from_file, check_size, nibabel, open_file

LABEL_INTENTS = (1002, 1003)
"""NIfTI's codes for values that are the numbers of structures."""


def read(path: Path, choice: GeometryChoice = NO_CHOICE) -> Volume:
    """Read the stored values, scaling and header. Raises InputError naming the file."""
    nib = nibabel()
    opened = open_file(path)
    image = opened.image
    if not isinstance(image, nib.analyze.AnalyzeImage | nib.MGHImage):
        raise InputError(f"{path}: {type(image).__name__} is not handled; convert it to NIfTI")
    header = image.header
    shape = tuple(int(n) for n in header.get_data_shape())
    if len(shape) > 4 and shape[3] == 1 and max(shape[4:]) > 1:
        numbers = int(np.prod(shape[4:]))
        raise InputError(f"{path}: {numbers} numbers a voxel (vectors, tensors or colours) are not handled, only one")
    check_shape(without_trailing_ones(shape), str(path))
    check_dtype(header.get_data_dtype(), str(path))
    check_size(opened, shape, path)
    check_memory(shape, header.get_data_dtype().itemsize, str(path))
    return _volume(opened, choice, str(path))


def from_image(image: Any, choice: GeometryChoice = NO_CHOICE, name: str = "the volume") -> Volume:
    """A nibabel image made in memory as a volume. Its affine may have been changed since its header was made."""
    nib = nibabel()
    if not isinstance(image, nib.analyze.AnalyzeImage | nib.MGHImage):
        raise InputError(f"{type(image).__name__} is not handled; convert it to Nifti1Image")
    if image.affine is not None and not np.allclose(image.affine, image.header.get_best_affine(), atol=1e-4):
        image = type(image)(image.dataobj, image.affine, image.header)
    return _volume(Opened(image, image.header), choice, name)


def _volume(opened: Opened, choice: GeometryChoice, name: str) -> Volume:
    nib = nibabel()
    image, data = opened.image, opened.image.dataobj
    kind = MGH if isinstance(image, nib.MGHImage) else NIFTI if isinstance(image, nib.Nifti1Pair) else ANALYZE
    header, affine, notes = _geometry(opened, kind, choice, name)
    proxy = hasattr(data, "get_unscaled")
    stored = np.asanyarray(data.get_unscaled() if proxy else data)
    stored = stored.reshape(without_trailing_ones(stored.shape), order="A")
    stored = stored.astype(stored.dtype.newbyteorder("="), copy=False)
    slope, intercept = (float(data.slope), float(data.inter)) if proxy and kind != MGH else (1.0, 0.0)
    if extensions := getattr(header, "extensions", None):
        notes += (f"{len(extensions)} header extension(s) describe the old grid and are not copied",)
    step = _time_step(header, kind) if stored.ndim == 4 else 1.0
    labels = kind == NIFTI and int(header["intent_code"]) in LABEL_INTENTS
    extra = (type(image), header)
    return Volume(stored, affine, kind, slope, intercept, extra, "", opened.notes + notes, step, labels)


def _geometry(opened: Opened, kind: str, choice: GeometryChoice, name: str) -> tuple[Any, Any, tuple[str, ...]]:
    """The header, where it puts the voxels (index to mm), and what it leaves open."""
    image, steps = opened.image, opened.steps
    header = image.header
    stated = bool(np.isfinite(steps).all() and steps.min() > 0)
    by_sform = kind == NIFTI and int(header["sform_code"]) > 0
    if kind == MGH:
        stated = stated and opened.placed
    elif not stated and not by_sform and choice.spacing is None:
        spacings = ", ".join(f"{step:g}" for step in steps)
        raise InputError(
            f"{name}: the header's voxel spacing is {spacings}, expected mm > 0{REPAIR}give it by `input_spacing`"
        )
    notes = check_stated(stated or by_sform, choice, name)
    if choice.form is not None and kind != NIFTI:
        notes += (f"affine={choice.form} is not used: only NIfTI has an sform and a qform",)
    if not stated and not by_sform:
        header = header.copy()
        if kind == MGH:
            header["delta"], header["goodRASFlag"] = choice.spacing, 1
            notes += (
                "the header states no orientation (goodRASFlag is not 1): coronal slices, as FreeSurfer takes it",
            )
            return header, np.asarray(header.get_affine(), float), notes
        header["pixdim"][1:4] = steps = np.asarray(choice.spacing, float)
    if kind == NIFTI:
        try:
            forms = nifti_forms.resolve(header, steps, choice.form)
        except InputError as error:
            raise InputError(f"{name}: {error}") from error
        return forms.header, forms.affine, notes + forms.notes
    if kind == MGH:
        return header, np.asarray(image.affine, float), notes
    affine = np.asarray(image.affine if stated else header.get_best_affine(), float)
    if np.allclose(affine, header.get_base_affine(), atol=1e-4):
        notes += ("Analyze states no orientation: the first axis is taken as pointing left (may be mirrored)",)
    return header, affine, notes


def _time_step(header: Any, kind: str) -> float:
    """Seconds from volume to volume; 1 where the header does not say."""
    zooms = header.get_zooms()
    step = float(zooms[3]) if len(zooms) > 3 else 0.0
    if kind == NIFTI:
        return step * {16: 1e-3, 24: 1e-6}.get(int(header["xyzt_units"]) & 0x38, 1.0) or 1.0
    return step * (1e-3 if kind == MGH else 1.0) or 1.0


def to_image(volume: Volume) -> Any:
    """A volume that came from a nibabel image, as an image of the same class."""
    nib, (klass, header) = nibabel(), volume.extra
    if volume.kind == MGH:
        return _mgh(nib, volume, header)
    if volume.kind == ANALYZE:
        image = _analyze(volume, klass, header)
    else:
        image = _nifti(nib, volume, klass, header, not issubclass(klass, nib.Nifti1Image | nib.Nifti2Image))
    return as_from_file(image) if volume.scaled() else image


def write_nifti(path: Path, volume: Volume) -> None:
    """Write one file, with the header the volume was read with where that is the same format."""
    _save_nifti(path, volume, pair=False)


def write_pair(path: Path, volume: Volume) -> None:
    """Write header and data: Analyze where the volume was read from that, else NIfTI."""
    if volume.kind == ANALYZE and volume.extra:
        _analyze(volume, *volume.extra).to_filename(str(path))
    else:
        _save_nifti(path, volume, pair=True)


def write_mgh(path: Path, volume: Volume) -> None:
    """Write MGH or MGZ, with the header the volume was read with where that is the same format."""
    header = volume.extra[1] if volume.kind == MGH and volume.extra else None
    _mgh(nibabel(), volume, header).to_filename(str(path))


def _save_nifti(path: Path, volume: Volume, pair: bool) -> None:
    klass, header = volume.extra if volume.kind == NIFTI and volume.extra else (None, None)
    _nifti(nibabel(), volume, klass, header, pair).to_filename(str(path))


def _nifti(nib: Any, volume: Volume, klass: Any, header: Any, pair: bool) -> Any:
    """A NIfTI image whose qform and sform each moved with the grid."""
    second = klass is not None and issubclass(klass.header_class, nib.Nifti2Header)
    kinds = {(False, False): nib.Nifti1Image, (False, True): nib.Nifti1Pair}
    kinds |= {(True, False): nib.Nifti2Image, (True, True): nib.Nifti2Pair}
    chosen = kinds[second, pair]
    if klass is None:
        image = chosen(volume.stored, volume.affine, dtype=volume.stored.dtype)
        image.header.set_xyzt_units("mm", "sec")
        if volume.stored.ndim == 4:
            image.header.set_zooms((*image.header.get_zooms()[:3], volume.time_step))
        image.header.set_slope_inter(volume.slope, volume.intercept)
        if volume.affine.any() and not nifti_forms.is_sheared(volume.affine):
            image.set_qform(volume.affine, 1)
        image.set_sform(volume.affine, 1)
        return image
    old_shape = header.get_data_shape()[:3]
    i, j, k = volume.stored.shape[:3]
    moved = index_map((i, j, k), tuple(int(n) for n in old_shape))  # type: ignore[arg-type]
    new = header.copy()
    if hasattr(new, "extensions"):
        new.extensions.clear()
    steps = [old * moved[axis, axis] for axis, old in enumerate(header.get_zooms()[:3])]
    new.set_data_shape(_as_shaped(volume, header).shape)
    new.set_zooms((*steps, *header.get_zooms()[3:]))
    for form, get, put in (("qform", header.get_qform, new.set_qform), ("sform", header.get_sform, new.set_sform)):
        code = int(header[f"{form}_code"])
        if code > 0 or _is_stated(header, form):
            put(get() @ moved, code)
    _place(new, volume)
    for field in ("slice_code", "slice_start", "slice_end", "slice_duration"):
        new[field] = 0  # the slices they describe are no longer there
    new.set_data_dtype(volume.stored.dtype)
    image = chosen(_as_shaped(volume, header), new.get_best_affine(), new, dtype=volume.stored.dtype)
    image.header.set_slope_inter(volume.slope, volume.intercept)
    return image


def _place(header: Any, volume: Volume) -> None:
    """Where the volume lies on another grid than one over the box of its header, both forms are those of that grid."""
    scale = nifti_forms.unit_scale(header)
    affine = np.diag([1 / scale, 1 / scale, 1 / scale, 1.0]) @ volume.affine
    if np.allclose(header.get_best_affine(), affine, rtol=1e-5, atol=1e-3 * min(volume.grid.spacing) / scale):
        return
    sheared = nifti_forms.is_sheared(affine)
    header.set_zooms((*(step / scale for step in volume.grid.spacing), *header.get_zooms()[3:]))
    header.set_sform(affine, int(header["sform_code"]) or 1)
    header.set_qform(affine, 0 if sheared else int(header["qform_code"]) or 1)


def _is_stated(header: Any, form: str) -> bool:
    """Whether a form that is marked as not valid says anything that could be moved with the grid."""
    fields = ("quatern_b", "quatern_c", "quatern_d", "qoffset_x", "qoffset_y", "qoffset_z")
    values = np.array([header[field] for field in (fields if form == "qform" else ("srow_x", "srow_y", "srow_z"))])
    if not np.isfinite(values).all() or not values.any():
        return False
    return form == "sform" or float((values[:3] ** 2).sum()) <= 1


def _as_shaped(volume: Volume, header: Any) -> Any:
    """The stored values with the axes of length 1 that the file had at its end."""
    more = len(header.get_data_shape()) - volume.stored.ndim
    return volume.stored.reshape(volume.stored.shape + (1,) * max(0, more), order="A")


def _analyze(volume: Volume, klass: Any, header: Any) -> Any:
    new = header.copy()
    new.set_data_dtype(volume.stored.dtype)
    image = klass(_as_shaped(volume, header), volume.affine, new)
    image.header.set_slope_inter(volume.slope, volume.intercept or None)
    return image


def _mgh(nib: Any, volume: Volume, header: Any) -> Any:
    image = nib.MGHImage(volume.stored, volume.affine.astype(np.float32), header.copy() if header is not None else None)
    if volume.stored.ndim == 4:
        milliseconds = header.get_zooms()[3] if header is not None else 1000 * volume.time_step
        image.header.set_zooms((*image.header.get_zooms()[:3], milliseconds))
    return image
