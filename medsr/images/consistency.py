"""Keeping an image's intensities: whatever is broad in a result is made to be what it is in the input."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import reduce

import numpy as np

from medsr.core.resample import resize_plane
from medsr.core.types import Array

SIGMA = 8.0
"""Low-resolution pixels: so much broader than any blur between an image and its ground truth that it need not be known.
Beside an edge of 200 grey levels, a blur of sigma 1 is taken for 0.4 grey levels of brightness (sigma 4: for 1.5)."""
RECEPTIVE_RADIUS = int(4 * SIGMA) + 2
"""Pixels of the input to each side that decide a correction: the Gaussian's, cut off at 4 SIGMA, and the bicubic's."""
FEWEST = 4 * RECEPTIVE_RADIUS
"""Rows of the input that are corrected together, at least: twice the radius around them is looked at again."""


def keep_intensities(result: Array, unit: Array, scale: int) -> None:
    """Correct `result`, (scale H, scale W, C), in place, so that its local means are those of `unit`, (H, W, C).

    result += U G (unit - D result): one step of back-projection (Irani and Peleg 1991) of what a Gaussian G of SIGMA
    leaves; D the mean of scale x scale pixels, U bicubic. Nothing finer than G is touched. It takes back what a network
    does to brightness and colour, which on images of another camera than its own can be many grey levels; beside a hard
    edge, what one side lacks is spread over both.
    """
    for _ in correct_strips([result], lambda rows: unit[rows], len(unit), scale):
        pass


def correct_strips(strips: Iterable[Array], unit: Callable[[slice], Array], height: int, scale: int) -> Iterator[Array]:
    """`keep_intensities` of a result that comes in strips of rows from the top, (scale rows, scale W, C); so it goes.

    `unit`: gives rows of the input, which has `height`. Strips are corrected in place. One may be given on in parts.
    """
    pending: list[Array] = []
    residual: list[Array] = []  # of the input's rows from `first` on
    first = corrected = seen = 0
    for strip in strips:
        rows = slice(seen, seen + len(strip) // scale)
        residual.append(unit(rows) - _means(strip, scale))
        pending.append(strip)
        seen = rows.stop
        ready = seen if seen == height else seen - RECEPTIVE_RADIUS
        if ready - corrected < FEWEST and seen < height:
            continue
        around = np.concatenate(residual) if len(residual) > 1 else residual[0]
        top = (corrected - first) * scale
        pieces, pending = _split(pending, (ready - corrected) * scale)
        for c in range(around.shape[2]):
            correction, start = _enlarged(around[:, :, c], scale), top
            for piece in pieces:
                piece[:, :, c] += correction[start : start + len(piece)]
                start += len(piece)
        corrected = ready
        residual = [around[max(0, ready - RECEPTIVE_RADIUS - first) :]]
        first = max(first, ready - RECEPTIVE_RADIUS)
        yield from pieces


def _means(result: Array, scale: int) -> Array:
    """The mean of each scale x scale pixels, (H, W, C)."""
    height, width, channels = (length // by for length, by in zip(result.shape, (scale, scale, 1), strict=True))
    means = np.empty((height, width, channels), np.float32)  # scikit-image's block_reduce takes six times as long
    for c in range(channels):
        plane = result[:, :, c]
        rows = reduce(np.add, (plane[y::scale] for y in range(scale)))
        means[:, :, c] = reduce(np.add, (rows[:, x::scale] for x in range(scale)))
    means /= scale**2
    return means


def _enlarged(residual: Array, scale: int) -> Array:
    """What of the difference of one channel, (H, W), is broad, at the result's size."""
    from scipy.ndimage import gaussian_filter

    broad = gaussian_filter(residual, SIGMA, mode="reflect")
    height, width = residual.shape
    return resize_plane(broad, (height * scale, width * scale), "bicubic")


def _split(strips: list[Array], count: int) -> tuple[list[Array], list[Array]]:
    """The first `count` rows, and the others."""
    before, after = [], []
    for strip in strips:
        before.append(strip[:count])
        after.append(strip[count:])
        count = max(0, count - len(strip))
    return [strip for strip in before if len(strip)], [strip for strip in after if len(strip)]
