"""Multi-scale ground truth: every image and its Lanczos reductions (Real-ESRGAN, P1)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from medsr.core.intensity import Window
from medsr.core.resample import resize
from medsr.io.images.image import Image


def sizes(
    size: tuple[int, int], scales: Sequence[float], shortest_edge: int | None, smallest: int = 1
) -> list[tuple[int, int]]:
    """The (height, width) of the original and its reductions, largest first, each once.

    Reductions whose shorter side would fall below `smallest`, and a `shortest_edge` that would enlarge, are left out.
    """
    height, width = size
    factors = [1.0, *scales]
    if shortest_edge is not None and shortest_edge < min(size):
        factors.append(shortest_edge / min(size))
    every = {(round(height * factor), round(width * factor)) for factor in factors}
    return sorted((reduced for reduced in every if min(reduced) >= smallest), reverse=True)


def reduce(image: Image, size: tuple[int, int]) -> Image:
    """The image at `size` by Lanczos, in its stored dtype and range; itself where that is its size."""
    if image.pixels.shape[:2] == size:
        return image
    stored = resize(image.pixels, size, "lanczos")
    window = image.window
    plain = Window(0.0, 1.0, window.store_low, window.store_high)
    return replace(image, pixels=plain.to_stored(stored, image.pixels.dtype), alpha=None)
