"""Masks, vessel maps and label maps, told from pictures by what they hold: they lie beside them in many data sets."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

MASK = "a mask, a label map or one value throughout (data.keep_masks=true trains on it)"
"""The reason that is given."""
FEW = 8
"""Different values: no picture has so few."""
LABELS = 128
"""Different values that a map of labels may have."""
EQUAL = {2: 0.97, 3: 0.6}
"""Share of neighbours with the same label, where it is not the background, by the number of axes."""
NEXT = 0.8
"""Share of other neighbours that differ by one step: more in smooth pictures, where labels jump."""
NEAR = 0.06
"""Of the range between darkest and brightest: what counts as one of the two. Lossy compression blurs masks so far."""
BETWEEN = 0.25
"""Share of pixels of a blurred mask that are neither dark nor bright; 0.41 or more in photographs with a border."""
BACKGROUND = 0.5
"""Least share of the background, and of its commonest value within it."""
SHADES = 64
"""Different values that the background of a blurred mask may have."""
SEEN = 0.001
"""Share of what is not background: less may be hot pixels of a dark picture."""
FLAT = 0.25
"""Of the range: a pixel between the two whose neighbourhood spans less is not on an edge. Pictures are full of them."""
FLAT_SHARE = 0.15


def is_mask(pixels: NDArray[Any]) -> bool:
    """Whether an image (H, W, channels) or volume (three axes) is a mask, a map of labels, or one value throughout."""
    values = pixels.reshape(-1)
    if values.dtype.kind == "f":
        values = values[np.isfinite(values)]
    if values.size == 0:
        return True
    different = _different(values)
    return different <= FEW or (different <= LABELS and _has_labels(pixels)) or _has_two_values(pixels)


def _different(values: NDArray[Any]) -> int:
    """How many different values there are; those of other types than 8 and 16 bits up to some above `LABELS`."""
    if values.dtype in (np.uint8, np.uint16):
        return int(np.count_nonzero(np.bincount(values)))
    some = np.unique(values[:: max(1, values.size // 4096)])
    return len(some) if len(some) > LABELS else len(np.unique(values))


def _is_volume(pixels: NDArray[Any]) -> bool:
    return pixels.ndim > 3 or (pixels.ndim == 3 and pixels.shape[2] > 4)


def _has_labels(pixels: NDArray[Any]) -> bool:
    """Whether neighbours outside the commonest value are mostly equal, and else differ by more than one step."""
    sample = pixels.reshape(-1)[:: max(1, pixels.size // 100_000)]
    levels, counts = np.unique(sample, return_counts=True)
    background = levels[counts.argmax()]
    step = float(np.diff(levels.astype(np.float64)).min()) if len(levels) > 1 else 1.0
    for axis in (0, 1):
        along = np.moveaxis(pixels, axis, 0)
        first, second = along[:-1], along[1:]
        inside = (first != background) & (second != background)
        jumps = np.abs(first[inside].astype(np.float64) - second[inside])
        if jumps.size and (jumps == 0).mean() < EQUAL[3 if _is_volume(pixels) else 2]:
            return False
        jumps = jumps[jumps > 0]
        if jumps.size and (jumps <= 1.5 * step).mean() > NEXT:
            return False
    return True


def _has_two_values(pixels: NDArray[Any]) -> bool:
    """Whether it is a mask of two values that was compressed or resized: what lies between them lies on edges."""
    shown = pixels if _is_volume(pixels) or pixels.ndim < 3 else pixels[..., :3].mean(axis=2, dtype=np.float32)
    low, high = float(np.nanmin(shown)), float(np.nanmax(shown))
    margin = NEAR * (high - low)
    dark, bright = shown <= low + margin, shown >= high - margin
    between = ~(dark | bright)
    background, other = (dark, bright) if dark.sum() >= bright.sum() else (bright, dark)
    rest = 1 - background.mean()
    if background.mean() < BACKGROUND or between.mean() > BETWEEN or rest < SEEN or other.mean() < 0.1 * rest:
        return False
    levels, counts = np.unique(shown[background], return_counts=True)
    if len(levels) > SHADES or counts.max() < BACKGROUND * counts.sum():
        return False
    from scipy.ndimage import maximum_filter, minimum_filter

    spans = maximum_filter(shown, 5).astype(np.float64) - minimum_filter(shown, 5)
    return bool((between & (spans < FLAT * (high - low))).mean() <= FLAT_SHARE * rest)
