"""What a DICOM header says of its picture, in DICOM's own terms."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from medsr.core.errors import InputError
from medsr.io.dicom.values import items

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
REQUIRED = ("Rows", "Columns", "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation")
FILE_SET = "DirectoryRecordSequence"
NO_FILE_SET = "a DICOMDIR lists other files; give those, or the folder they are in"
MODALITIES = frozenset(
    (
        "CR CT DG DX ES GM IO IVOCT IVUS LS MG MR NM OAM OCT OP OPM OPT OPV OT PT PX RF RG RTDOSE RTIMAGE "
        "SC SM TG US XA XC"
    ).split()
)
"""DICOM's terms for what makes images (PS3.3 C.7.3.1.1.1)."""


def photometric_of(dataset: Any) -> str:
    """What the pixels' values mean; nothing where that is none of DICOM's terms: any text may stand there."""
    value = str(dataset.get("PhotometricInterpretation") or "")
    return value if value in (*PHOTOMETRIC, *COLOURS) else ""


def modality_of(dataset: Any) -> str:
    """DICOM's term, such as CT or MR; OT (other) for a text that is none: any text may stand there, a name too."""
    value = str(dataset.get("Modality") or "").strip().upper()
    return value if value in MODALITIES else "OT" * bool(value)


def of_chest(dataset: Any) -> bool | None:
    """Whether the header says that the chest is shown; None where it names no part of the body, as is common."""
    value = str(dataset.get("BodyPartExamined") or "").strip().upper()
    return bool(re.match(r"(CHEST|THORAX|LUNG|RIBS?\b)", value)) if value else None


def burned_in(dataset: Any) -> str:
    """A warning where text is, or may well be, part of the picture (PS3.3 C.7.6.1); "" where nothing says so."""
    from pydicom.uid import SecondaryCaptureImageStorage

    value = str(dataset.get("BurnedInAnnotation") or "")
    if value == "YES":
        return "text is burned into the pixels (BurnedInAnnotation YES): it may name the patient, and stays there"
    if value != "NO" and (dataset.get("Modality") == "US" or dataset.SOPClassUID == SecondaryCaptureImageStorage):
        return "the header does not say whether text is burned into the pixels, as is common in this kind of image"
    return ""


def patient_of(path: Path) -> str:
    """The patient's number in a DICOM header; empty where there is none."""
    from medsr.io.dicom.reader import dataset_of

    try:
        with path.open("rb") as stream:
            return str(dataset_of(stream, path.name, False, ["PatientID"]).get("PatientID") or "")
    except InputError:
        raise
    except Exception as error:  # pydicom raises whatever it likes on damaged files
        raise InputError(f"{path}: damaged DICOM header") from error


def of_retina(dataset: Any) -> bool | None:
    """Whether the header says that the retina is shown; None where it does not say, or is not an eye's photograph."""
    meanings = [
        _meaning(dataset, keyword) for keyword in ("AcquisitionDeviceTypeCodeSequence", "AnatomicRegionSequence")
    ]
    words = " ".join(meanings).lower()
    if re.search(r"fundus|retina|macula|optic disc|ophthalmoscop", words):
        return True
    if re.search(r"slit|anterior|cornea|iris|lens|eyelid|external|specular", words):
        return False
    return None


def _meaning(dataset: Any, keyword: str) -> str:
    return " ".join(str(item.get("CodeMeaning") or "") for item in items(dataset, keyword))


def refuse_other_objects(dataset: Any, name: str) -> None:
    """Raise InputError for a DICOM object that is not a picture of 8 or 16 bits, saying what it is."""
    from pydicom.uid import (
        RTDoseStorage,
        SegmentationStorage,
        VLWholeSlideMicroscopyImageStorage,
    )

    others = {
        SegmentationStorage: "a segmentation: its labels have no intensities to super-resolve",
        RTDoseStorage: "a dose distribution, not a picture",
        VLWholeSlideMicroscopyImageStorage: "a whole slide in tiles; export a region as TIFF first",
    }
    if what := others.get(dataset.SOPClassUID):
        raise InputError(f"{name}: {what}")
    if "FloatPixelData" in dataset or "DoubleFloatPixelData" in dataset:
        raise InputError(f"{name}: floating-point pixels are not handled, only up to 16 bits stored")
    if "PixelData" not in dataset:
        raise InputError(f"{name}: this DICOM object has no pixel data")
    if lacking := [keyword for keyword in REQUIRED if dataset.get(keyword) is None]:
        raise InputError(f"{name}: damaged header: {', '.join(lacking)} missing, so its pixels cannot be read")
    if (bits := int(dataset.BitsAllocated)) not in (8, 16):
        raise InputError(f"{name}: {bits} bits allocated to a pixel are not handled, only 8 and 16")
