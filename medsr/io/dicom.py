"""Single-frame DICOM images: stored values in, a derived image of the same kind out."""

from __future__ import annotations

import copy
import re
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medsr import __version__
from medsr.errors import InputError
from medsr.intensity import Window
from medsr.io import dicom_pixels
from medsr.io.base import DICOM, Image

PHOTOMETRIC = ("MONOCHROME1", "MONOCHROME2")
COLOURS = (
    "RGB",
    "PALETTE COLOR",
    "YBR_FULL",
    "YBR_FULL_422",
    "YBR_PARTIAL_420",
    "YBR_PARTIAL_422",
    "YBR_ICT",
    "YBR_RCT",
)
# What describes the old pixel grid or the old pixel values, and would be false beside the new ones.
STALE = (
    "IconImageSequence",
    "SmallestImagePixelValue",
    "LargestImagePixelValue",
    "PixelDataProviderURL",
    "DigitalSignaturesSequence",
    "MACParametersSequence",
    "ExtendedOffsetTable",
    "ExtendedOffsetTableLengths",
)
WIDTHS = {"OW": 2, "OF": 4, "OL": 4, "OD": 8, "OV": 8}
"""Bytes of one number in elements that are kept as bytes."""
FILE_SET = "DirectoryRecordSequence"
NO_FILE_SET = "a DICOMDIR lists other files; give those, or the folder they are in"
SPACINGS = ("PixelSpacing", "ImagerPixelSpacing", "NominalScannedPixelSpacing")
MODALITIES = frozenset(
    (
        "CR CT DG DX ES GM IO IVOCT IVUS LS MG MR NM OAM OCT OP OPM OPT OPV OT PT PX RF RG RTIMAGE SC SM TG US XA XC"
    ).split()
)
"""DICOM's terms for what makes images (PS3.3 C.7.3.1.1.1)."""
SERIES_OFFSET = 1000
"""Added to the series number of what is derived."""


def read(path: Path) -> Image:
    """Read one grey DICOM frame: its stored values (no rescale, no VOI), its bits and photometric interpretation.

    Raises InputError for files without pixels, with several frames, colour, or more than 16 bits stored.
    """
    dataset = _dataset(path)
    if "PixelData" not in dataset:
        raise InputError(f"{path}: this DICOM object has no pixel data")
    if int(dataset.get("NumberOfFrames") or 1) != 1:
        raise InputError(f"{path}: has {dataset.NumberOfFrames} frames; only single frames are handled")
    photometric = photometric_of(dataset)
    if photometric not in PHOTOMETRIC:
        found = photometric or "an unknown kind of"
        raise InputError(f"{path}: {found} DICOM is not handled, only MONOCHROME1 and MONOCHROME2")
    if int(dataset.HighBit) != int(dataset.BitsStored) - 1:  # decoders would cut off the wrong bits
        raise InputError(f"{path}: {dataset.BitsStored} bits stored up to bit {dataset.HighBit} are not handled")
    pixels = dicom_pixels.decode(dataset, str(path))
    bits, signed = int(dataset.BitsStored), bool(dataset.PixelRepresentation)
    if pixels.dtype not in (np.uint8, np.int8, np.uint16, np.int16):
        raise InputError(f"{path}: {pixels.dtype} pixels are not handled, only up to 16 bits stored")
    window = Window.of_bits(bits, signed=signed, inverted=photometric == "MONOCHROME1")
    if pixels.min() < window.store_low or pixels.max() > window.store_high:
        raise InputError(f"{path}: values {pixels.min()} to {pixels.max()} do not fit the {bits} bits it declares")
    return Image(
        pixels[:, :, None],
        window,
        DICOM,
        extra={"dataset": dataset, "declared": bits},
        note=burned_in(dataset),
        modality=modality_of(dataset),
        of_chest=_of_chest(dataset),
    )


def photometric_of(dataset: Any) -> str:
    """What the pixels' values mean; nothing where that is none of DICOM's terms: any text may stand there."""
    said = str(dataset.get("PhotometricInterpretation") or "")
    return said if said in (*PHOTOMETRIC, *COLOURS) else ""


def modality_of(dataset: Any) -> str:
    """DICOM's term, such as CT or MR; OT (other) for a text that is none: any text may stand there, a name too."""
    said = str(dataset.get("Modality") or "").strip().upper()
    return said if said in MODALITIES else "OT" * bool(said)


def _of_chest(dataset: Any) -> bool | None:
    """Whether the header says that the chest is shown; None where it names no part of the body, as is common."""
    said = str(dataset.get("BodyPartExamined") or "").strip().upper()
    return bool(re.match(r"(CHEST|THORAX|LUNG|RIBS?\b)", said)) if said else None


def burned_in(dataset: Any) -> str:
    """A warning where text is, or may well be, part of the picture (PS3.3 C.7.6.1); "" where nothing says so."""
    from pydicom.uid import SecondaryCaptureImageStorage

    said = str(dataset.get("BurnedInAnnotation") or "")
    if said == "YES":
        return "text is burned into the pixels (BurnedInAnnotation YES): it may name the patient, and stays there"
    if said != "NO" and (dataset.get("Modality") == "US" or dataset.SOPClassUID == SecondaryCaptureImageStorage):
        return "the header does not say whether text is burned into the pixels, as is common in this kind of image"
    return ""


def patient_of(path: Path) -> str:
    """The patient's number in a DICOM header; empty where there is none."""
    import pydicom

    try:
        return str(pydicom.dcmread(path, force=True, specific_tags=["PatientID"]).get("PatientID") or "")
    except Exception as error:  # pydicom raises whatever it likes on damaged files
        raise InputError(f"{path}: damaged DICOM header") from error


def _dataset(path: Path) -> Any:
    """The data set, also of a file written without preamble and meta information."""
    import pydicom

    dataset = pydicom.dcmread(path, force=True)
    if FILE_SET in dataset:
        raise InputError(f"{path}: {NO_FILE_SET}")
    if "SOPClassUID" not in dataset:
        raise InputError(f"{path}: named .dcm but not a DICOM file")
    return dataset


def write(path: Path, image: Image) -> None:
    """Write `image` as an image derived from the DICOM it was read from.

    A new SOP instance UID and a series of its own; same study and patient; pixel spacing scaled so that the imaged
    field keeps its size; the derivation noted. Pixels are stored uncompressed, explicit VR little endian.
    """
    from pydicom.uid import generate_uid

    source = image.extra.get("dataset")
    if source is None:
        raise InputError(f"{path}: only an image read from DICOM can be written as DICOM")
    dataset = copy.deepcopy(source)
    rows, columns = image.pixels.shape[:2]
    scale = (rows / source.Rows, columns / source.Columns)
    forget_stale(dataset)
    _rescale_spacing(dataset, scale)
    dataset.Rows, dataset.Columns = rows, columns
    name_series(dataset, source, generate_uid(None))
    note_derivation(dataset, source, f"Super-resolved by {scale[1]:g} x {scale[0]:g}")
    save_derived(path, dataset, image.pixels[:, :, 0])


def save_derived(path: Path, dataset: Any, stored: NDArray) -> None:
    """Write a data set with new pixels (rows, columns) under a new SOP instance UID, uncompressed."""
    from pydicom.uid import PYDICOM_IMPLEMENTATION_UID, ExplicitVRLittleEndian, generate_uid

    dataset.SOPInstanceUID = generate_uid(None)
    dataset.ensure_file_meta()
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.file_meta.ImplementationClassUID = PYDICOM_IMPLEMENTATION_UID
    dataset.file_meta.ImplementationVersionName = f"MEDSR {__version__}"
    dataset.BitsAllocated = stored.dtype.itemsize * 8
    data = stored.astype(stored.dtype.newbyteorder("<")).tobytes()
    dataset.PixelData = data + b"\0" * (len(data) % 2)
    dataset["PixelData"].VR = "OW" if dataset.BitsAllocated == 16 else "OB"
    dataset["PixelData"].is_undefined_length = False
    if dataset.original_encoding[1] is False:
        dataset = _little_endian(dataset)
    dataset.save_as(path, enforce_file_format=True, little_endian=True, implicit_vr=False)


def _little_endian(dataset: Any) -> Any:
    """The same data set for another byte order. What pydicom keeps as bytes is turned, the new pixels are already."""
    from pydicom.dataset import Dataset

    for element in dataset.iterall():  # reading decodes: numbers and texts follow by themselves
        width = WIDTHS.get(element.VR)
        if width and element.keyword != "PixelData" and isinstance(element.value, bytes):
            element.value = np.frombuffer(element.value, f"V{width}").view(f">u{width}").astype(f"<u{width}").tobytes()
    turned = Dataset()
    turned.update(dataset)
    turned.file_meta = dataset.file_meta
    return turned


def forget_stale(dataset: Any) -> None:
    """Remove what describes the old pixels."""
    for keyword in STALE:
        if keyword in dataset:
            del dataset[keyword]
    for group in range(0x6000, 0x6020, 2):  # overlays are drawn on the old grid
        for element in list(dataset.group_dataset(group)):
            del dataset[element.tag]


def _rescale_spacing(dataset: Any, scale: tuple[float, float]) -> None:
    from pydicom.valuerep import DSfloat

    for keyword in SPACINGS:
        if value := dataset.get(keyword):
            spacing = [DSfloat(float(old) / factor, auto_format=True) for old, factor in zip(value, scale, strict=True)]
            setattr(dataset, keyword, spacing)
    if position := dataset.get("ImagePositionPatient"):
        shifted = _corner_aligned(dataset, [float(x) for x in position], scale)
        dataset.ImagePositionPatient = [DSfloat(x, auto_format=True) for x in shifted]


def _corner_aligned(dataset: Any, position: list[float], scale: tuple[float, float]) -> list[float]:
    """The centre of the first new pixel: the old one moved back by half the difference of the spacings."""
    spacing, cosines = dataset.get("PixelSpacing"), dataset.get("ImageOrientationPatient")
    if not spacing or not cosines:
        return position
    along_row, along_column = np.array(cosines[:3], float), np.array(cosines[3:], float)
    new_row, new_column = (float(value) for value in spacing)
    shift = along_row * new_column * (1 - scale[1]) / 2 + along_column * new_row * (1 - scale[0]) / 2
    return [float(x) for x in np.array(position) + shift]


def name_series(dataset: Any, source: Any, uid: str) -> None:
    """Make it part of a series of its own, which is seen beside its source in a list and not taken for it."""
    dataset.SeriesInstanceUID = uid
    dataset.SeriesNumber = int(source.get("SeriesNumber") or 0) + SERIES_OFFSET
    dataset.SeriesDescription = f"{source.get('SeriesDescription', '')} super-resolved".strip()[:64]


def note_derivation(dataset: Any, source: Any, what: str) -> None:
    """Say in the data set that it is derived, how, and from which image."""
    from pydicom.dataset import Dataset

    old_type = [str(part) for part in source.get("ImageType") or []]
    dataset.ImageType = ["DERIVED", "SECONDARY", *old_type[2:]]
    note = f"{what} with medsr {__version__}; not for diagnosis"
    dataset.DerivationDescription = "; ".join(filter(None, [source.get("DerivationDescription"), note]))[:1024]
    reference = Dataset()
    reference.ReferencedSOPClassUID = source.get("SOPClassUID", "")
    reference.ReferencedSOPInstanceUID = source.get("SOPInstanceUID", "")
    dataset.SourceImageSequence = [reference]
