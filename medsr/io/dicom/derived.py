"""A DICOM data set made anew around derived pixels: what is stale goes, what is derived is said."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medsr.core.errors import InputError, MedsrError
from medsr.core.text import reason
from medsr.core.version import __version__
from medsr.io.dicom.uids import uid_of
from medsr.io.dicom.values import items

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
GROUPS = {"overlays": range(0x6000, 0x6100), "curves": range(0x5000, 0x5100)}
"""Drawn on the old grid."""
WIDTHS = {"OW": 2, "OF": 4, "OL": 4, "OD": 8, "OV": 8}
"""Bytes of one number in elements that are kept as bytes."""
SERIES_OFFSET = 1000
"""Added to the series number of what is derived."""
NOT_YET = "2.25.0"
"""The SOP instance UID of an image for the moment in which its own is computed."""
LARGEST = 2**31 - 1
"""That an integer string may say."""


def forget_stale(dataset: Any) -> list[str]:
    """Remove what describes the old pixels; returns what of it a user may miss."""
    for keyword in STALE:
        if keyword in dataset:
            del dataset[keyword]
    missed = []
    for words, groups in GROUPS.items():
        tags = [tag for tag in dataset.keys() if tag.group in groups]  # noqa: SIM118
        for tag in tags:
            del dataset[tag]
        missed += [words] if tags else []
    return missed


def name_series(dataset: Any, source: Any, uid: str) -> None:
    """Make it part of a series of its own, which is seen beside its source in a list and not taken for it."""
    dataset.SeriesInstanceUID = uid
    try:
        number = int(source.get("SeriesNumber") or 0)
    except (TypeError, ValueError):  # not a number, or several
        number = 0
    dataset.SeriesNumber = number + SERIES_OFFSET if number <= LARGEST - SERIES_OFFSET else number - SERIES_OFFSET
    dataset.SeriesDescription = f"{_text(source, 'SeriesDescription')} super-resolved".strip()[-64:]


def note_derivation(dataset: Any, source: Any, what: str) -> None:
    """Say in the data set that it is derived, how, and from which image."""
    from pydicom.dataset import Dataset

    value = source.get("ImageType") or []
    old_type = [value] if isinstance(value, str) else [str(part) for part in value]
    # Enhanced and ophthalmic images may only be PRIMARY (PS3.3 C.8.16.1, C.8.17.2).
    primary_only = "SharedFunctionalGroupsSequence" in dataset or _is_eye(source)
    second = old_type[1] if len(old_type) > 1 and primary_only else "SECONDARY"
    third = old_type[2:3] if any(old_type[2:3]) or not _is_eye(source) else ["RESAMPLED"]  # derived ones must have it
    dataset.ImageType = ["DERIVED", second, *third, *old_type[3:]]
    for group in items(dataset, "SharedFunctionalGroupsSequence") + items(dataset, "PerFrameFunctionalGroupsSequence"):
        for element in group:
            for item in items(group, element.keyword) if element.keyword.endswith("FrameTypeSequence") else []:
                if "FrameType" in item:
                    item.FrameType = ["DERIVED", *list(item.FrameType)[1:]]
    note = f"{what} with medsr {__version__}; not for diagnosis"
    earlier = _text(source, "DerivationDescription")
    dataset.DerivationDescription = "; ".join(filter(None, [earlier[: 1021 - len(note)], note]))
    reference = Dataset()
    reference.ReferencedSOPClassUID = source.get("SOPClassUID", "")
    reference.ReferencedSOPInstanceUID = source.get("SOPInstanceUID", "")
    purpose = Dataset()  # ophthalmic images must say it (PS3.3 C.8.17.2), any may
    purpose.CodeValue, purpose.CodingSchemeDesignator = "121322", "DCM"
    purpose.CodeMeaning = "Source image for image processing operation"
    reference.PurposeOfReferenceCodeSequence = [purpose]
    dataset.SourceImageSequence = [reference]


def _is_eye(dataset: Any) -> bool:
    """Whether it is an ophthalmic photograph."""
    from pydicom.uid import OphthalmicPhotography8BitImageStorage, OphthalmicPhotography16BitImageStorage

    return dataset.get("SOPClassUID") in (OphthalmicPhotography8BitImageStorage, OphthalmicPhotography16BitImageStorage)


def _text(dataset: Any, keyword: str) -> str:
    value = dataset.get(keyword)
    return "" if value is None else str(value)


def save_derived(path: Any, dataset: Any, stored: NDArray) -> None:
    """Write a data set with new pixels (rows, columns[, samples]) under a SOP instance UID of its own, uncompressed.

    The UID follows from all that is written: what is made again is the same image, and anything else is another.
    `path` names a file, or is a stream. Raises InputError where the header cannot be written again.
    """
    from pydicom.config import disable_value_validation
    from pydicom.uid import PYDICOM_IMPLEMENTATION_UID, ExplicitVRLittleEndian

    dataset.SOPInstanceUID = NOT_YET
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
    with rewriting(path), disable_value_validation():  # what is odd in the header stays as odd as it was
        _settle_types(dataset)
        if dataset.original_encoding[1] is False:
            dataset = _little_endian(dataset)
        content = BytesIO()
        dataset.save_as(content, enforce_file_format=True, little_endian=True, implicit_vr=False)
        dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = uid_of(content.getbuffer())
        dataset.save_as(path, enforce_file_format=True, little_endian=True, implicit_vr=False)


@contextmanager
def rewriting(path: Any) -> Iterator[None]:
    """A header is made anew and written to `path`: whatever pydicom raises on it becomes an InputError.

    It reads an element when that is asked for, so that a damaged one is met here.
    """
    try:
        yield
    except (OSError, MemoryError, MedsrError):
        raise
    except Exception as error:
        raise InputError(f"{path}: its DICOM header cannot be written again ({reason(error)})") from error


def _settle_types(dataset: Any, signed: bool | None = None) -> None:
    """One type for each element that implicit VR left open between several and that nothing in the file settles."""
    from pydicom.filewriter import correct_ambiguous_vr

    correct_ambiguous_vr(dataset, True)
    for element in dataset.iterall():
        if " or " not in element.VR:
            continue
        options = element.VR.split(" or ")
        raw = isinstance(element.value, bytes)
        element.VR = next((option for option in options if (option in WIDTHS) == raw), options[-1 if raw else 0])


def _little_endian(dataset: Any) -> Any:
    """The same data set for another byte order. What pydicom keeps as bytes is turned, the new pixels are already."""
    from pydicom.dataset import Dataset

    for element in dataset.iterall():  # reading decodes: numbers and texts follow by themselves
        width = WIDTHS.get(element.VR)
        if width and element.keyword != "PixelData" and isinstance(element.value, bytes):
            element.value = np.frombuffer(element.value, f"V{width}").view(f">u{width}").astype(f"<u{width}").tobytes()
    little = Dataset()
    little.update(dataset)
    little.file_meta = dataset.file_meta
    return little
