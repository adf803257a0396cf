"""Fit how much of a network's change an input gets (`images.strength`), on images whose truth is known."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image as Pillow

from medsr.core.resample import resize
from medsr.core.types import Array
from medsr.images.network import Network
from medsr.images.sharpness import sharpness
from medsr.images.strength import TERMS, Strength, terms

MOST_BLUR, MOST_NOISE, JPEG = 1.5, 1.5, (80, 98)
"""Of what is drawn: sigma in pixels of the input, of noise in grey levels, and quality."""
BORDER = 8
"""Pixels of a result that do not count."""
RIDGE, LOSSES, REGRETS = 0.001, 0.5, 3.0
"""How strongly coefficients are held at 0; how much more a loss against interpolation counts than a gain; and how much
more a loss against all of the change: where both look alike, what the network had gained is not to be given away."""
NOTHING = 1e-9
"""Mean square of a change or an error that is none: of a picture of one value."""
WITHIN = 0.01, 0.99
"""Quantiles of the two numbers, between which the share follows them."""


@dataclass(frozen=True)
class StrengthSample:
    """An input by the two numbers of its `sharpness`, and three mean products over its result.

    Of `change` (the network's, to interpolation) with itself, of the change with the error of interpolation, and of
    that `error` with itself. `blur`: that was drawn. `artefacts`: whether noise or JPEG was added.
    """

    fine: float
    finest: float
    change: float
    agreement: float
    error: float
    blur: float
    artefacts: bool


def gain(samples: Sequence[StrengthSample], share: ArrayLike) -> NDArray[np.float64]:
    """dB over interpolation with that share of the change, for each sample."""
    change, agreement, error = (
        np.array([getattr(sample, name) for sample in samples]) for name in ("change", "agreement", "error")
    )
    share = np.asarray(share)
    decibels: NDArray[np.float64] = 10 * np.log10(error / (error - 2 * share * agreement + share**2 * change))
    return decibels


def draw(truth: Array, scale: int, rng: np.random.Generator) -> tuple[Array, float, bool]:
    """A low resolution of (H, W, C) in [0, 1]: reduced, blurred, rounded; its blur, and whether it was given artefacts.

    One of four is not blurred at all, one by sigma 1, the others by less than MOST_BLUR.
    """
    from scipy.ndimage import gaussian_filter

    height, width = (length // scale for length in truth.shape[:2])
    low = resize(truth, (height, width), "bicubic")
    blur = float(rng.choice([0, 1, *rng.uniform(0, MOST_BLUR, 2)]))
    if blur:
        low = gaussian_filter(low, (blur, blur, 0))
    noise = float(rng.uniform(0, MOST_NOISE)) if rng.random() < 0.3 else 0.0
    low += rng.normal(size=low.shape) * noise / 255
    stored = np.clip(np.round(low * 255), 0, 255).astype(np.uint8)
    compressed = rng.random() < 0.2
    if compressed:
        buffer = io.BytesIO()
        Pillow.fromarray(stored.squeeze()).save(buffer, "JPEG", quality=int(rng.integers(*JPEG)))
        stored = np.asarray(Pillow.open(buffer, formats=("JPEG",))).reshape(stored.shape)
    return (stored / 255).astype(np.float32), blur, compressed or noise > 0


def measure(network: Network, truth: Array, rng: np.random.Generator) -> StrengthSample | None:
    """What the network makes of a low resolution drawn of `truth`, (H, W, C) in [0, 1]; None of a small or flat one.

    `truth`: sides that are multiples of the network's factor.
    """
    low, blur, artefacts = draw(truth, network.scale, rng)
    numbers = sharpness(lambda rows: low[rows], low.shape)
    if numbers is None:
        return None
    plain = resize(low, (truth.shape[0], truth.shape[1]), "bicubic")
    inside = np.s_[BORDER:-BORDER, BORDER:-BORDER]
    change = (replace(network, strength=None)(low, network.scale) - plain)[inside]
    error = (truth - plain)[inside]
    products = [float(np.mean(a * b)) for a, b in ((change, change), (change, error), (error, error))]
    if min(products[0], products[2]) < NOTHING:
        return None
    return StrengthSample(*numbers, *products, blur, artefacts)  # type: ignore[arg-type, call-arg]


def fit(samples: Sequence[StrengthSample]) -> Strength:
    """What gains the most over interpolation on average; what loses against it, or all of the change, counts more."""
    from scipy.optimize import minimize

    fine, finest = (np.array([getattr(sample, name) for sample in samples]) for name in ("fine", "finest"))
    limits = [_limits(numbers) for numbers in (fine, finest)]
    within = [np.clip(numbers, *sides) for numbers, sides in zip((fine, finest), limits, strict=True)]
    design = terms(*within)

    whole = gain(samples, 1.0)

    def penalty(coefficients: NDArray[np.float64]) -> float:
        gains = gain(samples, np.clip(design @ coefficients, 0, 1))
        lost = LOSSES * np.minimum(gains, 0) + REGRETS * np.minimum(gains - whole, 0)
        return float(-np.mean(gains + lost) + RIDGE * np.sum(coefficients[1:] ** 2))

    change, agreement, error = (
        np.array([getattr(sample, name) for sample in samples]) for name in ("change", "agreement", "error")
    )
    weights, targets = change / error, np.clip(agreement / change, -0.3, 1.3)
    held = np.diag([0.0, *np.full(TERMS - 1, 0.001 * weights.sum())])
    start = np.linalg.solve(design.T @ (design * weights[:, None]) + held, design.T @ (targets * weights))
    simplex = minimize(
        penalty, start, method="Nelder-Mead", options={"maxfev": 8000, "maxiter": 8000, "adaptive": True}
    )
    fits = [simplex, *(minimize(penalty, x, method="Powell", options={"maxiter": 60}) for x in (start, simplex.x))]
    best = min(fits, key=lambda result: float(result.fun)).x
    return Strength(tuple(round(float(value), 4) for value in best), *limits)


def _limits(numbers: NDArray[np.float64]) -> tuple[float, float]:
    low, high = np.quantile(numbers, WITHIN)
    return round(float(low), 2), round(float(high), 2)
