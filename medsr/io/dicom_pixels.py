"""The pixels of a DICOM object, and a compressed picture refused where a part of it is missing."""

from __future__ import annotations

from typing import Any

import numpy as np
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


def decode_colour(dataset: Any, name: str) -> tuple[NDArray, int]:
    """The colours of one frame as RGB, (rows, columns, 3), and the bits of each.

    pydicom undoes planes, YBR and subsampling; the table of a palette is applied here. Raises as `decode`.
    """
    _settle_syntax(dataset)
    syntax = dataset.file_meta.TransferSyntaxUID
    if str(dataset.PhotometricInterpretation) in ("YBR_ICT", "YBR_RCT") and "JPEG 2000" not in syntax.name:
        raise InputError(f"{name}: damaged header: {dataset.PhotometricInterpretation} belongs to JPEG 2000 alone")
    if syntax.is_compressed and syntax.is_encapsulated and "PlanarConfiguration" not in dataset:
        dataset.PlanarConfiguration = 0  # decoders ask for it; compressed data lie as their own format says
    pixels = decode(dataset, name)
    if str(dataset.PhotometricInterpretation) != "PALETTE COLOR":
        return pixels, int(dataset.BitsStored)
    from pydicom.pixels import apply_color_lut

    try:
        colours: NDArray = apply_color_lut(pixels, dataset)
    except Exception as error:  # tables are as odd as their writers
        raise InputError(f"{name}: its palette cannot be read ({' '.join(str(error).split())[:160]})") from error
    low, high = colours & 255, colours >> 8
    if not high.any():  # 8-bit entries in 16-bit words
        return low.astype(np.uint8), 8
    if colours.dtype == np.uint16 and (not low.any() or np.array_equal(low, high)):  # 8 bits, in either usual way
        return high.astype(np.uint8), 8
    return colours, colours.dtype.itemsize * 8


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
