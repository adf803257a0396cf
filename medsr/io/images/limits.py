"""What formats and the memory can hold."""

from __future__ import annotations

from pathlib import Path

from medsr.core.errors import MemoryExhaustedError, UsageError
from medsr.io.images.base import DICOM, JPEG, PNG, Image
from medsr.io.kinds import SUFFIXES

LARGEST_SIDE = {JPEG: 65500, DICOM: 65535, PNG: (1 << 31) - 1}
"""Pixels in a row or column that a format, or the library that writes it, can hold."""
LARGEST_DICOM = (1 << 32) - 2
"""Bytes of uncompressed pixels in one DICOM object."""


def check_result(path: Path, image: Image, size: tuple[int, int], count: int = 1) -> None:
    """Before it is computed: whether a result of `size` (height, width) can be held by `path`'s format and in memory.

    `count`: of frames, of which only the results are held together. Raises UsageError or MemoryExhaustedError.
    """
    import psutil

    height, width = size
    kind = SUFFIXES.get(path.suffix.lower(), "")
    largest = LARGEST_SIDE.get(kind)
    if largest is not None and max(size) > largest:
        raise UsageError(
            f"{path}: {width}x{height} pixels, but {kind} holds at most {largest} in a row; choose a smaller factor"
        )
    stored = count * height * width * image.pixels.shape[2] * image.pixels.itemsize
    what = f"{width}x{height} pixels" if count == 1 else f"{count} frames of {width}x{height} pixels"
    fewer = "a smaller factor" if count == 1 else "fewer frames or a smaller factor"
    if kind == DICOM and stored > LARGEST_DICOM:
        raise UsageError(f"{path}: {what} are more than the 4.3 GB that DICOM holds; choose {fewer}")
    needed = height * width * (image.pixels.shape[2] * (8 + image.pixels.itemsize) + 4 * (image.alpha is not None))
    needed += 2 * stored * (count > 1)
    free = psutil.virtual_memory().available
    if needed > free:
        raise MemoryExhaustedError(
            f"{path}: {what} need {needed / 1e9:.1f} GB of memory, {free / 1e9:.1f} GB are free; choose {fewer}"
        )
