"""The pixels of a DICOM object, and a compressed picture refused where a part of it is missing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medsr.core.errors import InputError
from medsr.core.text import reason
from medsr.io import decoder
from medsr.io.dicom import codestream
from medsr.io.images import jpeg

NUMBERS = (
    "Rows",
    "Columns",
    "SamplesPerPixel",
    "BitsAllocated",
    "BitsStored",
    "HighBit",
    "PixelRepresentation",
    "PlanarConfiguration",
)
"""What decoders are told of a header."""


def decode(dataset: Any, name: str, index: int | None = None) -> NDArray:
    """The stored values, in this machine's byte order, of a data set that may lack preamble and meta information.

    `index`: of one frame, from 0; None: of all. Raises InputError, naming `name`, where they cannot be decoded.
    """
    try:
        _settle_syntax(dataset)
        if dataset.file_meta.TransferSyntaxUID.is_encapsulated:
            return _decompress(dataset, name, index)
        dataset.pixel_array_options(index=index)
        pixels: NDArray = dataset.pixel_array
    except (InputError, MemoryError):
        raise
    except Exception as error:  # decoders raise whatever they like
        raise InputError(f"{name}: its pixels cannot be read ({reason(error)})") from error
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
        raise InputError(f"{name}: its palette cannot be read ({reason(error)})") from error
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


def _decompress(dataset: Any, name: str, index: int | None) -> NDArray:
    """The frames of compressed pixels, each by itself."""
    count = int(dataset.get("NumberOfFrames") or 1)
    pixels: NDArray | None = None
    number = 0
    for number, frame in enumerate(_frames(dataset, count, index), 1):
        if number > count:
            raise InputError(f"{name}: damaged header: it declares {count} frame(s), its pixels are enough for more")
        picture = _decompress_frame(dataset, frame, name)
        if count == 1 or index is not None:
            pixels = picture
        elif pixels is None:
            pixels = np.empty((count, *picture.shape), picture.dtype)
        elif pixels.shape[1:] != picture.shape or pixels.dtype != picture.dtype:
            raise InputError(f"{name}: damaged: frame {number} is compressed in another size or depth than the first")
        if pixels.ndim > picture.ndim:
            pixels[number - 1] = picture
    if pixels is None or (index is None and number < count):
        raise InputError(f"{name}: damaged: it declares {count} frames and holds only {number}")
    return pixels


def _frames(dataset: Any, count: int, index: int | None) -> Iterator[bytes]:
    """The compressed frames, or the one of `index`."""
    from pydicom.encaps import generate_frames, get_frame

    offsets = None
    if "ExtendedOffsetTable" in dataset and "ExtendedOffsetTableLengths" in dataset:
        offsets = dataset.ExtendedOffsetTable, dataset.ExtendedOffsetTableLengths
    if index is None:
        yield from generate_frames(dataset.PixelData, number_of_frames=count, extended_offsets=offsets)
    else:
        yield get_frame(dataset.PixelData, index, number_of_frames=count, extended_offsets=offsets)


def _decompress_frame(dataset: Any, frame: bytes, name: str) -> NDArray:
    from pydicom.uid import JPEGBaseline8Bit

    syntax = dataset.file_meta.TransferSyntaxUID
    stream = codestream.check(dataset, frame, name)
    if syntax == JPEGBaseline8Bit:  # the decoders that pydicom calls only warn of holes
        jpeg.decode(frame, name)
    header = {keyword: int(dataset[keyword].value) for keyword in NUMBERS if dataset.get(keyword) is not None}
    if stream is not None and stream.bits > header["BitsStored"]:  # GDCM would cut off the others without a word
        header |= {"BitsStored": stream.bits, "HighBit": stream.bits - 1}
    words = {"PhotometricInterpretation": str(dataset.PhotometricInterpretation)}
    request = {"kind": "dicom", "syntax": str(syntax), "header": header | words}
    rows, columns, samples = header["Rows"], header["Columns"], header.get("SamplesPerPixel", 1)
    decoder.check_size(rows * columns * samples, len(frame), name)
    pixels = decoder.decode(request, frame, rows * columns * samples, name)
    if pixels.shape[:2] != (rows, columns):
        raise InputError(
            f"{name}: damaged: its compressed picture is {pixels.shape}, its header says {(rows, columns)}"
        )
    return codestream.checked_values(dataset, stream, pixels, name)
