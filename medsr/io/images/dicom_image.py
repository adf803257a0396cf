"""DICOM images of one frame or several: stored values in, a derived image of the same kind out."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from medsr.core.errors import InputError
from medsr.core.intensity import Window
from medsr.core.version import __version__
from medsr.io.dicom import frames as dicom_frames
from medsr.io.dicom import geometry, reader
from medsr.io.dicom import pixels as dicom_pixels
from medsr.io.dicom.derived import forget_stale, name_series, note_derivation, rewriting, save_derived
from medsr.io.dicom.header import (
    COLOURS,
    FILE_SET,
    NO_FILE_SET,
    PHOTOMETRIC,
    burned_in,
    modality_of,
    of_chest,
    of_retina,
    patient_of,
    photometric_of,
    refuse_other_objects,
)
from medsr.io.dicom.stored import declare_rgb, note_loss
from medsr.io.dicom.uids import uid_of
from medsr.io.images.background import padding_of
from medsr.io.images.base import DICOM, MAX_PIXELS, Image
from medsr.io.images.frames import FRAMES, Frames, numbers

__all__ = [
    "FILE_SET",
    "NO_FILE_SET",
    "burned_in",
    "forget_stale",
    "modality_of",
    "name_series",
    "note_derivation",
    "patient_of",
    "photometric_of",
    "read",
    "read_frames",
    "save_derived",
    "write",
]


def read(path: Path) -> Image:
    """Read one DICOM frame: its stored values (no rescale, no VOI), its bits and photometric interpretation.

    Colour of every kind becomes RGB. Raises InputError for files without pixels, with several frames, or with more than
    16 bits stored.
    """
    dataset = _checked(path)
    if (count := dicom_frames.count_of(dataset)) != 1:
        raise InputError(
            f"{path}: holds {count} frames, and one picture is expected here; save the frames wanted as single-frame "
            "DICOM or PNG (a scan in slices: medsr volume)"
        )
    return _picture(dataset, path, None, _notes(dataset, (1,)))


def read_frames(path: Path, frames: str | None) -> Image | Frames:
    """The only frame as `read` reads it, or the chosen ones of several.

    Raises InputError as `read`, and where there are several and none are chosen; UsageError where one of the chosen is
    not there, or only all of them can be taken.
    """
    dataset = _checked(path)
    if (count := dicom_frames.count_of(dataset)) == 1:
        if frames is not None:
            numbers(frames, 1, str(path))
        return _picture(dataset, path, None, _notes(dataset, (1,)))
    if frames is None:
        raise InputError(
            f"{path}: it holds {count} frames; `frames=all` or `frames=1-5` does them one by one "
            "(a scan in slices: medsr volume)"
        )
    dicom_frames.check(dataset, str(path))
    chosen = numbers(frames, count, str(path))
    dicom_frames.check_choice(dataset, chosen, str(path))
    note = _notes(dataset, chosen)
    return Frames(path, chosen, lambda number: _picture(dataset, path, number - 1, note))


def _checked(path: Path) -> Any:
    """The data set of a picture whose kind and size are handled."""
    dataset = _dataset(path)
    refuse_other_objects(dataset, str(path))
    photometric = photometric_of(dataset)
    samples = int(dataset.get("SamplesPerPixel") or 1)
    _check_samples(path, photometric, samples)
    if int(dataset.HighBit) != int(dataset.BitsStored) - 1:  # decoders would cut off the wrong bits
        raise InputError(f"{path}: {dataset.BitsStored} bits stored up to bit {dataset.HighBit} are not handled")
    if (size := int(dataset.Rows) * int(dataset.Columns)) > MAX_PIXELS:
        raise InputError(f"{path}: {size / 1e6:.0f} megapixels, more than the {MAX_PIXELS / 1e6:.0f} handled")
    if photometric in COLOURS and dataset.PixelRepresentation:
        raise InputError(f"{path}: signed colours are not handled")
    dicom_frames.check_excess(dataset, str(path))
    return dataset


def _picture(dataset: Any, path: Path, index: int | None, note: str) -> Image:
    """One frame, counted from 0; None: the only one."""
    photometric = photometric_of(dataset)
    bits, signed = int(dataset.BitsStored), bool(dataset.PixelRepresentation)
    if photometric in COLOURS:
        pixels, bits = dicom_pixels.decode_colour(dataset, str(path), index)
    else:
        pixels = dicom_pixels.decode(dataset, str(path), index)[:, :, None]
    if pixels.dtype not in (np.uint8, np.int8, np.uint16, np.int16):
        raise InputError(f"{path}: {pixels.dtype} pixels are not handled, only up to 16 bits stored")
    window = Window.of_bits(bits, signed=signed, inverted=photometric == "MONOCHROME1")
    if pixels.min() < window.store_low or pixels.max() > window.store_high:
        raise InputError(f"{path}: values {pixels.min()} to {pixels.max()} do not fit the {bits} bits it declares")
    return Image(
        pixels,
        window,
        DICOM,
        extra={
            "dataset": dataset,
            "declared": bits,
            "icc_profile": dataset.get("ICCProfile"),
            "series": str(dataset.get("SeriesInstanceUID") or ""),  # read here, where a damaged element is told
        },
        note=note,
        modality=modality_of(dataset),
        of_chest=of_chest(dataset),
        of_retina=of_retina(dataset),
        padding=padding_of(dataset),
    )


def _check_samples(path: Path, photometric: str, samples: int) -> None:
    """Raise InputError where what pixels mean is not known, or disagrees with how many samples each has."""
    if photometric.startswith("YBR_PARTIAL") or photometric not in (*PHOTOMETRIC, *COLOURS):
        raise InputError(
            f"{path}: {photometric or 'an unknown kind of'} DICOM is not handled, only grey and RGB, YBR, palette"
        )
    expected = 1 if photometric in (*PHOTOMETRIC, "PALETTE COLOR") else 3
    if samples != expected:
        raise InputError(f"{path}: damaged header: {photometric} has {expected} sample(s) per pixel, it says {samples}")


def _notes(dataset: Any, chosen: Sequence[int]) -> str:
    """What is burned into the pixels, and what a result will lack: known as soon as the header is."""
    missed = _derive(copy.deepcopy(_without_pixels(dataset)), (2.0, 2.0), chosen)
    lost = f"left out, as it describes the old pixels: {', '.join(missed)}" if missed else ""
    return "; ".join(filter(None, [burned_in(dataset), lost]))


def _without_pixels(dataset: Any) -> Any:
    from pydicom.dataset import Dataset

    plain = Dataset()
    plain.update({tag: dataset.get_item(tag) for tag in dataset.keys() if tag != 0x7FE00010})  # noqa: SIM118
    return plain


def _dataset(path: Path) -> Any:
    """The data set, also of a file written without preamble and meta information."""
    with path.open("rb") as stream:
        dataset = reader.dataset_of(stream, str(path))
    if FILE_SET in dataset:
        raise InputError(f"{path}: {NO_FILE_SET}")
    if "SOPClassUID" not in dataset and "MediaStorageSOPClassUID" in dataset.get("file_meta", {}):
        dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID
    if "SOPClassUID" not in dataset:
        if "Rows" in dataset:
            raise InputError(f"{path}: its header does not say what kind of image it is (SOPClassUID is missing)")
        raise InputError(f"{path}: named .dcm but not a DICOM file")
    return dataset


def write(path: Path, image: Image) -> None:
    """Write `image` as an image derived from the DICOM it was read from.

    A SOP instance UID and a series of its own, which follow from what is written; same study and patient; what is said
    in pixels is scaled, so that the imaged field keeps its size; the derivation is noted. Pixels are stored
    uncompressed, explicit VR little endian, colours as RGB.
    """
    source = image.extra.get("dataset")
    if source is None:
        raise InputError(f"{path}: only an image read from DICOM can be written as DICOM")
    stack = image.extra.get(FRAMES)
    with rewriting(path):
        dataset = _derived(source, image, stack.numbers if stack else (1,))
    pixels = stack.pixels if stack else image.pixels
    save_derived(path, dataset, pixels if image.pixels.shape[2] == 3 else pixels[..., 0])


def _derived(source: Any, image: Image, chosen: Sequence[int]) -> Any:
    """The header of `image`, made of these frames of `source`."""
    dataset = copy.deepcopy(source)
    rows, columns = image.pixels.shape[:2]
    scale = (rows / source.Rows, columns / source.Columns)
    _derive(dataset, scale, chosen)
    dataset.Rows, dataset.Columns = rows, columns
    what = f"Super-resolved by {scale[1]:g} x {scale[0]:g}"
    pixels = image.extra[FRAMES].pixels if FRAMES in image.extra else image.pixels
    instance = str(source.get("SOPInstanceUID") or "")
    name_series(dataset, source, uid_of(what, __version__, instance, pixels))
    note_derivation(dataset, source, what)
    if len(chosen) < dicom_frames.count_of(source) and dicom_frames.is_multiframe(source):
        dataset.SourceImageSequence[0].ReferencedFrameNumber = list(chosen)
    note_loss(dataset, source)
    if image.pixels.shape[2] == 3:
        declare_rgb(dataset, int(image.extra["declared"]))
    return dataset


def _derive(dataset: Any, scale: tuple[float, float], chosen: Sequence[int]) -> list[str]:
    """Scale or remove, in place, what lies on the old pixels or on frames not chosen. Returns what was removed."""
    missed = dicom_frames.keep(dataset, chosen) if dicom_frames.count_of(dataset) > 1 else []
    missed += forget_stale(dataset)
    dicom_frames.remove_private(dataset)
    if private := [tag for tag in dataset.keys() if tag.is_private]:  # noqa: SIM118
        missed.append("private elements")
        for tag in private:
            del dataset[tag]
    return missed + geometry.rescale(dataset, scale)
