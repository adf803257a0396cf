"""NIfTI-1 and -2, Analyze and MGH/MGZ, through nibabel: stored values in, the same kind of file out."""

from __future__ import annotations

import gzip
import logging
import zlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from medsr.errors import InputError
from medsr.geometry import index_map
from medsr.io.volume_base import ANALYZE, MGH, NIFTI, Volume, check_dtype, check_memory, check_shape, plain

MGH_DTYPES = ("uint8", "int16", "int32", "float32")
_MOST_GZIP = 1040
"""No gzip file expands to more than this many times its size (deflate's limit is 1032)."""


def read(path: Path) -> Volume:
    """Read the stored values, scaling and header. Raises InputError naming the file."""
    nib = _nibabel()
    image: Any = nib.load(path)
    if not isinstance(image, nib.analyze.AnalyzeImage | nib.MGHImage):
        raise InputError(f"{path}: {type(image).__name__} is not handled; convert it to NIfTI")
    header = image.header
    shape = tuple(int(n) for n in header.get_data_shape())
    check_shape(shape, str(path))
    check_dtype(header.get_data_dtype(), str(path))
    _check_steps(image, path)
    _check_size(image, shape, path)
    check_memory(shape, header.get_data_dtype().itemsize, str(path))
    return from_image(image)


def from_image(image: Any) -> Volume:
    """A nibabel image, from a file or made in memory, as a volume."""
    nib = _nibabel()
    if not isinstance(image, nib.analyze.AnalyzeImage | nib.MGHImage):
        raise InputError(f"{type(image).__name__} is not handled; convert it to Nifti1Image")
    header, data = image.header, image.dataobj
    kind = MGH if isinstance(image, nib.MGHImage) else NIFTI if isinstance(image, nib.Nifti1Pair) else ANALYZE
    proxy = hasattr(data, "get_unscaled")
    stored = np.asanyarray(data.get_unscaled() if proxy else data)
    stored = stored.astype(stored.dtype.newbyteorder("="), copy=False)
    slope, intercept = (float(data.slope), float(data.inter)) if proxy and kind != MGH else (1.0, 0.0)
    notes: tuple[str, ...] = ()
    if extensions := getattr(header, "extensions", None):
        notes = (f"{len(extensions)} header extension(s) describe the old grid and are not copied",)
    step = _time_step(header, kind) if stored.ndim == 4 else 1.0
    if kind == NIFTI:
        notes += _doubts(header)
    affine = np.asarray(header.get_best_affine() if image.affine is None else image.affine, float)
    return Volume(stored, affine, kind, slope, intercept, (type(image), header), notes=notes, time_step=step)


def _time_step(header: Any, kind: str) -> float:
    """Seconds from volume to volume; 1 where the header does not say."""
    zooms = header.get_zooms()
    step = float(zooms[3]) if len(zooms) > 3 else 0.0
    units = header.get_xyzt_units()[1] if kind == NIFTI else "msec" if kind == MGH else "sec"
    return step * {"msec": 1e-3, "usec": 1e-6}.get(units, 1.0) or 1.0


def _doubts(header: Any) -> tuple[str, ...]:
    """What a NIfTI header leaves open, and how it was taken."""
    notes: tuple[str, ...] = ()
    if not int(header["qform_code"]) and not int(header["sform_code"]):
        notes += ("the header states no orientation (qform and sform code 0): axes taken as left, anterior, superior",)
    unit = header.get_xyzt_units()[0]
    if unit not in ("mm", "unknown"):
        notes += (f"the header gives lengths in {unit}: taken as millimetres, as other programs do",)
    return notes


def to_image(volume: Volume) -> Any:
    """A volume that came from a nibabel image, as an image of the same class."""
    nib, (klass, header) = _nibabel(), volume.extra
    if volume.kind == MGH:
        return _mgh(nib, volume, header)
    if volume.kind == ANALYZE:
        image = _analyze(volume, klass, header)
    else:
        image = _nifti(nib, volume, klass, header, not issubclass(klass, nib.Nifti1Image | nib.Nifti2Image))
    return _as_from_file(image) if volume.scaled() else image


def write(path: Path, volume: Volume) -> None:
    """Write in the format the suffix names, with the header it was read with where that is the same format."""
    nib = _nibabel()
    suffix = path.name.lower().removesuffix(".gz").rpartition(".")[2]
    own: tuple[Any, Any] = volume.extra if volume.kind in (NIFTI, ANALYZE, MGH) and volume.extra else (None, None)
    klass, header = own
    if suffix in ("mgh", "mgz"):
        image = _mgh(nib, plain(volume, path, MGH_DTYPES), header if volume.kind == MGH else None)
    elif volume.kind == ANALYZE and suffix in ("hdr", "img"):
        image = _analyze(volume, klass, header)
    else:
        pair = suffix in ("hdr", "img")
        image = _nifti(nib, volume, klass if volume.kind == NIFTI else None, header, pair)
    image.to_filename(str(path))


def _as_from_file(image: Any) -> Any:
    """The image as if read back: nibabel applies slope and intercept only to what came from a file."""
    import io

    files = image.make_file_map({kind: io.BytesIO() for kind, _ in image.files_types})
    image.to_file_map(files)
    return type(image).from_file_map(files)


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
        if volume.affine.any() and _is_rigid(volume.affine):
            image.set_qform(volume.affine, 1)
        image.set_sform(volume.affine, 1)
        return image
    old_shape = header.get_data_shape()[:3]
    i, j, k = volume.stored.shape[:3]
    moved = index_map((i, j, k), tuple(int(n) for n in old_shape))  # type: ignore[arg-type]
    new = header.copy()
    if hasattr(new, "extensions"):
        new.extensions.clear()
    qform, qcode = header.get_qform(coded=True)
    sform, scode = header.get_sform(coded=True)
    steps = [old * moved[axis, axis] for axis, old in enumerate(header.get_zooms()[:3])]
    new.set_data_shape(volume.stored.shape)
    new.set_zooms((*steps, *header.get_zooms()[3:]))
    if qform is not None:
        new.set_qform(qform @ moved, int(qcode))
    if sform is not None:
        new.set_sform(sform @ moved, int(scode))
    for field in ("slice_code", "slice_start", "slice_end", "slice_duration"):
        new[field] = 0  # the slices they describe are no longer there
    new.set_data_dtype(volume.stored.dtype)
    image = chosen(volume.stored, new.get_best_affine(), new, dtype=volume.stored.dtype)
    image.header.set_slope_inter(volume.slope, volume.intercept)
    return image


def check_mgh(path: Path, volume: Volume) -> None:
    """Raise UsageError for values MGH cannot hold."""
    plain(replace(volume, stored=np.empty(0, volume.stored.dtype)), path, MGH_DTYPES)


def _analyze(volume: Volume, klass: Any, header: Any) -> Any:
    new = header.copy()
    new.set_data_dtype(volume.stored.dtype)
    image = klass(volume.stored, volume.affine, new)
    image.header.set_slope_inter(volume.slope, volume.intercept or None)
    return image


def _mgh(nib: Any, volume: Volume, header: Any) -> Any:
    image = nib.MGHImage(volume.stored, volume.affine.astype(np.float32), header.copy() if header is not None else None)
    if volume.stored.ndim == 4:
        milliseconds = header.get_zooms()[3] if header is not None else 1000 * volume.time_step
        image.header.set_zooms((*image.header.get_zooms()[:3], milliseconds))
    return image


def _is_rigid(affine: np.ndarray) -> bool:
    """Whether a qform can hold it: no shear."""
    directions = affine[:3, :3] / np.sqrt((affine[:3, :3] ** 2).sum(axis=0))
    return bool(np.allclose(directions.T @ directions, np.eye(3), atol=1e-4))


def _check_steps(image: Any, path: Path) -> None:
    """Look at the spacings as they are in the file: nibabel replaces wrong ones by guesses."""
    nib = _nibabel()
    names = {key: holder.filename for key, holder in image.file_map.items() if holder.filename}
    with nib.openers.ImageOpener(names.get("header", names["image"])) as stream:
        raw = type(image.header).from_fileobj(stream, check=False)
    key = "delta" if isinstance(image, nib.MGHImage) else "pixdim"
    steps = np.asarray(raw[key], float)[0 if key == "delta" else slice(1, 4)]
    steps = np.atleast_1d(steps)[:3]
    if not np.isfinite(steps).all() or steps.min() <= 0:
        raise InputError(f"{path}: the header's voxel spacing is {', '.join(f'{s:g}' for s in steps)}, expected mm > 0")


def _check_size(image: Any, shape: tuple[int, ...], path: Path) -> None:
    """Compare what the header promises with what the file can hold, and verify a compressed file to its end."""
    data = Path(image.file_map["image"].filename)
    promised = float(np.prod([float(n) for n in shape])) * image.header.get_data_dtype().itemsize
    compressed = data.suffix.lower() in (".gz", ".mgz")
    size = data.stat().st_size
    if promised > size * (_MOST_GZIP if compressed else 1):
        dims = " x ".join(map(str, shape))
        raise InputError(f"{path}: the header promises {dims} voxels ({promised / 1e9:.3g} GB), the file holds less")
    if compressed:
        _verify_gzip(data, int(promised))


def _verify_gzip(data: Path, promised: int) -> None:
    """Read to the end for the checksum; what is there beyond the promised voxels is not read for ever."""
    try:
        with gzip.open(data) as stream:
            read = 0
            while block := stream.read(1 << 22):
                read += len(block)
                if read > promised + (1 << 28):
                    return
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise InputError(f"{data}: truncated or damaged gzip file ({error})") from error
    if read < promised:
        raise InputError(f"{data}: truncated: {read} bytes where the header promises {promised}")


def _nibabel() -> Any:
    import nibabel
    from nibabel import imageglobals

    imageglobals.logger.setLevel(logging.CRITICAL)  # it reports what it repairs; we refuse instead
    return nibabel
