"""Small DICOM files that hold compressed pixels."""

from __future__ import annotations

import imagecodecs
import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import HTJ2KLossless, JPEG2000Lossless, JPEGLosslessSV1, JPEGLSLossless

PIXELS = np.random.default_rng(0).integers(0, 255, (48, 64), dtype=np.uint8)
SYNTAXES = {"j2k": JPEG2000Lossless, "htj2k": HTJ2KLossless, "jls": JPEGLSLossless, "ljpeg": JPEGLosslessSV1}


def _encoded(codec: str, pixels: NDArray, bits: int) -> bytes:
    if codec == "j2k":
        return bytes(imagecodecs.jpeg2k_encode(pixels, codecformat="j2k", level=0, reversible=True, bitspersample=bits))
    if codec == "htj2k":
        return bytes(imagecodecs.htj2k_encode(pixels, reversible=True))
    unsigned = pixels.view(pixels.dtype.str.replace("i", "u"))
    if codec == "jls":
        return bytes(imagecodecs.jpegls_encode(unsigned))
    unsigned = (unsigned & ((1 << bits) - 1)).astype(np.uint8 if bits <= 8 else np.uint16)
    return bytes(imagecodecs.ljpeg_encode(unsigned, bitspersample=bits))


def compressed(codec: str, pixels: NDArray = PIXELS, bits: int = 8) -> Dataset:
    """An image in that codec; `bits`: of the compressed data and of the header."""
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = SYNTAXES[codec]
    dataset.Rows, dataset.Columns, dataset.SamplesPerPixel = *pixels.shape, 1
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 8 * pixels.itemsize, bits, bits - 1
    dataset.PixelRepresentation = int(pixels.dtype.kind == "i")
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.PixelData = encapsulate([_encoded(codec, pixels, bits)])
    return dataset
