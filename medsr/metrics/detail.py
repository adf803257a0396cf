"""Fine detail that a result lacks, and fine detail that it made up."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.fft import irfft2, rfft2, rfftfreq
from scipy.ndimage import gaussian_filter

NEIGHBOURHOOD = 8.0
"""Sigma in pixels of the neighbourhood in which a result's detail is compared with the truth's."""
LEAST = (0.1 / 255) ** 2
"""Mean energy below which there is no detail: a tenth of a grey level of 8 bits."""


@dataclass(frozen=True)
class Detail:
    """Both in parts of the ground truth's own energy in the bands. Bicubic: nearly 1 and 0; a perfect result: 0 and 0.

    `missing`: detail of the truth that the result lacks. `added`: detail in the result that the truth does not have.
    `worst`: what is added in the worst neighbourhood, in parts of the image's mean energy there: one invented line in a
    large image hardly moves a mean.
    """

    missing: float
    added: float
    worst: float


def detail(result: NDArray, ground_truth: NDArray, scale: float) -> Detail | None:
    """(H, W) each in [0, 1], compared in the octaves above the low resolution's Nyquist limit, 1 / (2 scale) per pixel.

    In every band and neighbourhood the result is split into a multiple of the truth and a rest that is uncorrelated
    with it, r = a g + o. Then |r - g|^2 = (1 - a)^2 |g|^2 + |o|^2. For a from 0 to 1 the first is missing and the
    second added; what an a above 1 exaggerates, and what one below 0 inverts, is added too. All of the difference's
    energy counts, and counts once. None where the truth has no detail to speak of. Blind to anything larger than a few
    low-resolution pixels, invented or erased.
    """
    missing = energy = 0.0
    added = np.zeros(ground_truth.shape)
    for low, high in bands(scale):
        g, r = _band(ground_truth, low, high), _band(result, low, high)
        gg, rg, rr = (gaussian_filter(product, NEIGHBOURHOOD, mode="reflect") for product in (g * g, r * g, r * r))
        floor = max(float(gg.mean()), 1e-20) * 1e-6
        share = rg / np.maximum(gg, floor)
        rest = np.maximum(rr - share * rg, 0)
        gap = (1 - share) ** 2 * gg
        lost = np.clip(1 - share, 0, 1) ** 2 * gg
        missing += float(lost.sum())
        added += rest + gap - lost
        energy += float(gg.sum())
    if energy < LEAST * ground_truth.size:
        return None
    return Detail(missing / energy, float(added.sum()) / energy, float(added.max()) * ground_truth.size / energy)


def bands(scale: float) -> list[tuple[float, float]]:
    """Octaves from the low resolution's Nyquist limit to the image's own, in cycles per pixel; the last may be part."""
    edges = [1 / (2 * scale)]
    while edges[-1] < 0.5:
        edges.append(min(0.5, edges[-1] * 2))
    return list(pairwise(edges))


def _band(image: NDArray, low: float, high: float) -> NDArray[np.float64]:
    """The part of an (H, W) image whose larger frequency along an axis is above `low` and up to `high`.

    Squares, not rings: sampling limits each axis on its own. The image is mirrored, so that its borders are no edges.
    """
    height, width = image.shape
    mirrored = np.pad(image.astype(np.float64), ((0, height), (0, width)), "symmetric")
    rows = np.abs(np.fft.fftfreq(2 * height))[:, None]
    columns = rfftfreq(2 * width)[None, :]
    frequency = np.maximum(rows, columns)
    spectrum = rfft2(mirrored)
    spectrum[(frequency <= low) | (frequency > high)] = 0
    band: NDArray[np.float64] = irfft2(spectrum, s=mirrored.shape)[:height, :width]
    return band
