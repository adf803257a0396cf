"""The blur kernels of Real-ESRGAN's degradation (Wang et al. 2021, section 3.2), as closed forms. All sum to 1."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Kernel = NDArray[np.float64]


def gaussian(side: int, sigmas: tuple[float, float], angle: float) -> Kernel:
    """An anisotropic Gaussian: (side, side), odd; standard deviations in pixels along two axes turned by `angle`."""
    return _normalised(np.exp(-0.5 * _squared_distance(side, sigmas, angle)))


def generalized_gaussian(side: int, sigmas: tuple[float, float], angle: float, beta: float) -> Kernel:
    """As `gaussian`, with `beta` (above 0) for shape: 1 is the Gaussian, below 1 has heavier tails (Pascal 2013)."""
    return _normalised(np.exp(-0.5 * np.power(_squared_distance(side, sigmas, angle), beta)))


def plateau(side: int, sigmas: tuple[float, float], angle: float, beta: float) -> Kernel:
    """As `gaussian`, with a flat top: 1 / (1 + distance^(2 beta))."""
    return _normalised(np.reciprocal(np.power(_squared_distance(side, sigmas, angle), beta) + 1))


def sinc(side: int, cutoff: float) -> Kernel:
    """The circular low-pass of `cutoff` in radians a pixel (at most pi), which rings: (side, side), odd."""
    from scipy.special import j1

    ahead = np.arange(side) - (side - 1) / 2
    radius = np.sqrt(ahead[:, None] ** 2 + ahead[None] ** 2)
    middle = side // 2
    radius[middle, middle] = 1.0  # the limit stands there instead
    kernel = cutoff * j1(cutoff * radius) / (2 * np.pi * radius)
    kernel[middle, middle] = cutoff**2 / (4 * np.pi)
    return _normalised(kernel)


def _squared_distance(side: int, sigmas: tuple[float, float], angle: float) -> Kernel:
    """Of every pixel from the middle, in standard deviations (Mahalanobis), squared."""
    turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    precision = np.linalg.inv(turn @ np.diag(np.square(sigmas)) @ turn.T)
    ahead = np.arange(side) - side // 2.0
    x, y = np.meshgrid(ahead, ahead)
    places = np.stack([x.ravel(), y.ravel()], axis=1)
    distance: Kernel = ((places @ precision) * places).sum(1)
    return distance.reshape(side, side)


def _normalised(kernel: Kernel) -> Kernel:
    return kernel / kernel.sum()
