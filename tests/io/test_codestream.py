"""Compressed pictures of another size than their DICOM header says are refused before they are decoded."""

from __future__ import annotations

import imagecodecs
import numpy as np
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import JPEG2000Lossless, JPEGLSLossless

from medsr.errors import InputError
from medsr.io.dicom_pixels import decode

PIXELS = np.random.default_rng(0).integers(0, 255, (48, 64), dtype=np.uint8)


def _dataset(codec: str) -> Dataset:
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    j2k = codec == "j2k"
    dataset.file_meta.TransferSyntaxUID = JPEG2000Lossless if j2k else JPEGLSLossless
    content = (
        imagecodecs.jpeg2k_encode(PIXELS, codecformat="j2k", level=0, reversible=True)
        if j2k
        else imagecodecs.jpegls_encode(PIXELS)
    )
    dataset.Rows, dataset.Columns, dataset.SamplesPerPixel = 48, 64, 1
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 8, 8, 7, 0
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.PixelData = encapsulate([bytes(content)])
    return dataset


@pytest.mark.parametrize("codec", ["j2k", "jls"])
def test_sizes_must_agree(codec: str) -> None:
    assert np.array_equal(decode(_dataset(codec), "a.dcm"), PIXELS)
    for tag, value in (("Columns", 32), ("Rows", 24), ("Columns", 128)):
        dataset = _dataset(codec)
        setattr(dataset, tag, value)
        with pytest.raises(InputError, match="its compressed picture is 64x48"):
            decode(dataset, "a.dcm")
