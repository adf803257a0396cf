"""All images of the test data, read and written back at their own size: the pixels are those that others read.

The oracles: tifffile, Pillow and pydicom.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray
from PIL import Image as Pillow
from PIL import ImageOps

from medsr.batch.outcome import Outcome
from medsr.commands.upscale.run import upscale
from medsr.core.errors import InputError
from medsr.io.images import image as image_io

FOLDERS = ("retina", "chest", "odd", "classic")
WHY_NOT = (
    "a 1-bit image has no intensities",
    "no pixel data",
    "not a DICOM file",
    "DICOM is not handled",
    "frames",
    "number of bytes of pixel data is less than expected",
    "a dose distribution, not a picture",
    "damaged header: Rows, Columns",
)
"""Every reason for which a file of the test data may be refused."""
JPEG_LOSS = 1.0
"""Mean difference in grey levels that saving at quality 95 once more may cost."""


def _pillow(path: Path) -> NDArray[Any]:
    with Pillow.open(path) as file:
        file.load()
        shown = ImageOps.exif_transpose(file)
        return np.asarray(shown.convert("RGB") if shown.mode not in ("L", "I;16", "I") else shown)


def _tiff(path: Path) -> NDArray[Any]:
    with tifffile.TiffFile(path) as file:
        page = file.pages.first
        return page.asrgb() if page.photometric == tifffile.PHOTOMETRIC.PALETTE else page.asarray()


def _dicom(path: Path) -> NDArray[Any]:
    import pydicom

    dataset = pydicom.dcmread(path, force=True)
    if "TransferSyntaxUID" not in dataset.file_meta:
        dataset.file_meta.TransferSyntaxUID = pydicom.uid.ImplicitVRLittleEndian
    return dataset.pixel_array


ORACLES = {image_io.TIFF: _tiff, image_io.DICOM: _dicom, image_io.PNG: _pillow, image_io.JPEG: _pillow}


def _difference(outcome: Outcome) -> float:
    """Between what the oracle reads of the input and of the result: at its largest; of JPEG on average."""
    before, after = (
        ORACLES[entry.result if (entry := image_io.detect_file_type(path)) else image_io.DICOM](path)
        for path in (outcome.input, outcome.output)
    )
    if before.ndim != after.ndim:  # a palette of greys and their like
        before, after = (one if one.ndim == 3 else np.repeat(one[:, :, None], 3, axis=2) for one in (before, after))
    assert before.shape == after.shape, outcome.input
    apart = np.abs(before.astype(np.int64) - after.astype(np.int64))
    return float(apart.mean() if outcome.output.suffix.lower() in (".jpg", ".jpeg") else apart.max())


@pytest.mark.slow
@pytest.mark.parametrize("folder", FOLDERS)
@pytest.mark.filterwarnings("ignore")
def test_what_is_written_back_are_the_oracles_pixels(
    real_data: Path, tmp_path: Path, folder: str, record_property: Any
) -> None:
    outcomes = upscale(real_data / folder, tmp_path, model="bicubic", outscale=1)
    refused = {str(one.input.relative_to(real_data)): str(one.error) for one in outcomes if one.error}
    for name, reason in refused.items():
        record_property(name, reason)
        print(f"refused: {name}: {reason.partition(': ')[2]}")
    assert not {name: reason for name, reason in refused.items() if not any(why in reason for why in WHY_NOT)}
    assert all(isinstance(one.error, InputError) for one in outcomes if one.error)
    done = [one for one in outcomes if one.error is None]
    assert done
    wrong = {
        str(one.input): apart
        for one in done
        if (apart := _difference(one)) > (JPEG_LOSS if one.output.suffix.lower() in (".jpg", ".jpeg") else 0)
    }
    assert not wrong
    print(f"{folder}: {len(done)} of {len(outcomes)} files give the oracle's pixels")
