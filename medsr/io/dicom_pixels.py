"""The pixels of a DICOM object, and a compressed picture refused where a part of it is missing."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from medsr.errors import InputError
from medsr.io import jpeg


def decode(dataset: Any, name: str, index: int | None = None) -> NDArray:
    """The stored values, in this machine's byte order, of a data set that may lack preamble and meta information.

    `index`: of one frame, from 0; None: of all. Raises InputError, naming `name`, where they cannot be decoded.
    """
    try:
        _settle_syntax(dataset)
        _check(dataset, name, index)
        dataset.pixel_array_options(index=index)
        pixels: NDArray = dataset.pixel_array
    except (InputError, MemoryError):
        raise
    except Exception as error:  # decoders raise whatever they like
        raise InputError(f"{name}: its pixels cannot be read ({' '.join(str(error).split())[:160]})") from error
    return pixels.astype(pixels.dtype.newbyteorder("="), copy=False)


def decode_colour(dataset: Any, name: str, index: int | None = None) -> tuple[NDArray, int]:
    """The colours of one frame as RGB, (rows, columns, 3), and the bits of each.

    `index`: of the frame, from 0; None: there is only one. pydicom undoes planes, YBR and subsampling; the table of a
    palette is applied here. Raises as `decode`.
    """
    _settle_syntax(dataset)
    syntax = dataset.file_meta.TransferSyntaxUID
    if str(dataset.PhotometricInterpretation) in ("YBR_ICT", "YBR_RCT") and "JPEG 2000" not in syntax.name:
        raise InputError(f"{name}: damaged header: {dataset.PhotometricInterpretation} belongs to JPEG 2000 alone")
    if dataset.get("PlanarConfiguration") is None and int(dataset.get("SamplesPerPixel") or 1) > 1:
        dataset.PlanarConfiguration = 0  # decoders ask for it; compressed data lie as their own format says
    pixels = decode(dataset, name, index)
    if str(dataset.PhotometricInterpretation) != "PALETTE COLOR":
        return pixels, int(dataset.BitsStored)
    from pydicom.pixels import apply_color_lut

    try:
        colours: NDArray = apply_color_lut(pixels, dataset)
        # Frames are decided upon together, so by all entries of the table.
        entries = colours if index is None else apply_color_lut(_indices(dataset), dataset)
    except Exception as error:  # tables are as odd as their writers
        raise InputError(f"{name}: its palette cannot be read ({' '.join(str(error).split())[:160]})") from error
    low, high = entries & 255, entries >> 8
    if not high.any():  # 8-bit entries in 16-bit words
        return colours.astype(np.uint8), 8
    if colours.dtype == np.uint16 and (not low.any() or np.array_equal(low, high)):  # 8 bits, in either usual way
        return (colours >> 8).astype(np.uint8), 8
    return colours, colours.dtype.itemsize * 8


def _indices(dataset: Any) -> NDArray:
    """Of all entries of its table of colours."""
    length, first, _ = dataset.RedPaletteColorLookupTableDescriptor
    return np.arange(first, first + (length or 1 << 16)).astype(np.uint16)


def _settle_syntax(dataset: Any) -> None:
    from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

    dataset.ensure_file_meta()
    if "TransferSyntaxUID" not in dataset.file_meta:
        implicit, little = dataset.original_encoding
        explicit = ExplicitVRLittleEndian if little else ExplicitVRBigEndian
        dataset.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian if implicit else explicit


def _check(dataset: Any, name: str, index: int | None) -> None:
    """The decoders that pydicom calls only warn of a JPEG with holes."""
    from pydicom.encaps import generate_frames, get_frame
    from pydicom.uid import JPEG2000TransferSyntaxes, JPEGBaseline8Bit, JPEGLSTransferSyntaxes

    syntax = dataset.file_meta.TransferSyntaxUID
    if syntax in (JPEGBaseline8Bit, *JPEGLSTransferSyntaxes, *JPEG2000TransferSyntaxes):
        count = int(dataset.get("NumberOfFrames") or 1)
        frames = (
            generate_frames(dataset.PixelData, number_of_frames=count)
            if index is None
            else [get_frame(dataset.PixelData, index, number_of_frames=count)]
        )
        for frame in frames:
            if syntax == JPEGBaseline8Bit:
                jpeg.decode(frame, name)
            else:
                _check_size(dataset, frame, name)


def _check_size(dataset: Any, frame: bytes, name: str) -> None:
    """Raise InputError where a JPEG-LS or JPEG 2000 stream is of another size than the DICOM header says."""
    if (start := frame.find(b"\xff\x4f\xff\x51")) >= 0:  # JPEG 2000, perhaps within the boxes of a JP2 file
        numbers = np.frombuffer(frame[start + 8 : start + 24].ljust(16, b"\0"), ">u4").astype(int)
        columns, rows = numbers[0] - numbers[2], numbers[1] - numbers[3]
        samples = int.from_bytes(frame[start + 40 : start + 42], "big")
    else:
        rows, columns, samples = jpeg.lossless_size(frame)
    expected = int(dataset.Rows), int(dataset.Columns), int(dataset.SamplesPerPixel)
    if (rows, columns, samples) != expected:
        raise InputError(
            f"{name}: damaged: its compressed picture is {columns}x{rows} of {samples} samples, "
            f"its header says {expected[1]}x{expected[0]} of {expected[2]}"
        )
