"""What formats and the memory can hold."""

from __future__ import annotations

from pathlib import Path

from medsr.core import memory
from medsr.core.errors import MemoryExhaustedError, UsageError
from medsr.io.images.base import Image
from medsr.io.images.formats import SUFFIXES


def check_result(path: Path, image: Image, size: tuple[int, int], count: int = 1, floats: int | None = None) -> None:
    """Before it is computed: whether a result of `size` (height, width) can be held by `path`'s format and in memory.

    `count`: of frames, of which only the results are held together. `floats`: pixels that are computed at once, None
    for all. Raises UsageError or MemoryExhaustedError.
    """
    height, width = size
    entry = SUFFIXES.get(path.suffix.lower())
    if entry is not None and entry.largest_side is not None and max(size) > entry.largest_side:
        raise UsageError(
            f"{path}: {width}x{height} pixels, but {entry.name} holds at most {entry.largest_side} in a row; choose a "
            "smaller factor"
        )
    stored = count * height * width * image.pixels.shape[2] * image.pixels.itemsize
    what = f"{width}x{height} pixels" if count == 1 else f"{count} frames of {width}x{height} pixels"
    fewer = "a smaller factor" if count == 1 else "fewer frames or a smaller factor"
    if entry is not None and entry.largest_bytes is not None and stored > entry.largest_bytes:
        most = f"{entry.largest_bytes / 1e9:.1f} GB that {entry.name} holds"
        raise UsageError(f"{path}: {what} are more than the {most}; choose {fewer}")
    floats = height * width if floats is None else floats
    needed = floats * image.pixels.shape[2] * 8 + height * width * 4 * (image.alpha is not None) + stored // count
    needed += 2 * stored * (count > 1)
    free = memory.free()
    if needed > free:
        raise MemoryExhaustedError(
            f"{path}: {what} need {needed / 1e9:.1f} GB of memory, {free / 1e9:.1f} GB are free; choose {fewer}"
        )
