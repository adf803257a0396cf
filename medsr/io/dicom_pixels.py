"""The pixels of a DICOM object, and a compressed picture refused where a part of it is missing."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from medsr.errors import InputError
from medsr.io import jpeg


def decode(dataset: Any, name: str) -> NDArray:
    """The stored values, in this machine's byte order, of a data set that may lack preamble and meta information.

    Raises InputError, naming `name`, where they cannot be decoded.
    """
    try:
        _settle_syntax(dataset)
        _check(dataset, name)
        pixels: NDArray = dataset.pixel_array
    except (InputError, MemoryError):
        raise
    except Exception as error:  # decoders raise whatever they like
        raise InputError(f"{name}: its pixels cannot be read ({' '.join(str(error).split())[:160]})") from error
    return pixels.astype(pixels.dtype.newbyteorder("="), copy=False)


def _settle_syntax(dataset: Any) -> None:
    from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

    dataset.ensure_file_meta()
    if "TransferSyntaxUID" not in dataset.file_meta:
        implicit, little = dataset.original_encoding
        explicit = ExplicitVRLittleEndian if little else ExplicitVRBigEndian
        dataset.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian if implicit else explicit


def _check(dataset: Any, name: str) -> None:
    """The decoders that pydicom calls only warn of a JPEG with holes."""
    from pydicom.encaps import generate_frames
    from pydicom.uid import JPEGBaseline8Bit

    if dataset.file_meta.TransferSyntaxUID == JPEGBaseline8Bit:
        for frame in generate_frames(dataset.PixelData, number_of_frames=int(dataset.get("NumberOfFrames") or 1)):
            jpeg.decode(frame, name)
