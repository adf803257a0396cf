"""Can a lesion be seen? Model observers rate patches with and without it; how far the ratings differ is detectability.

Two linear observers, as task-based assessment of image quality uses them (Barrett and Myers, Foundations of Image
Science, 2004). The place of the lesion is known to both: it is the centre of the patch.

- The channelised Hotelling observer (Yao and Barrett, SPIE 1768, 1992; Barrett, Yao, Rolland and Myers, PNAS 90, 1993)
  sees a patch g through a few channels, v = T g, and rates it by w · v with w = K⁻¹ (mean of v with − mean without);
  K is the mean of the two classes' covariances of v. It knows how backgrounds vary, and allows for it.
- The non-prewhitening matched filter rates by the expected lesion itself, s · g. It takes all noise for white.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from medsr.core.types import Array

Values = NDArray[np.float64]
FIRST, RATIO, Q = 0.005, 1.4, 1.67
"""The dense difference-of-Gaussians channels of Abbey and Barrett (2001): sigma_0 in cycles a pixel, alpha and Q."""
LEAST_SIDE = 3
"""Pixels along a patch that hold a channel."""
LEAST_PATCHES = 2
"""Of each class, to train the Hotelling observer: of fewer there is no variance."""
LEAST_SPREAD = 1e-6
"""Of a channel's outputs, in parts of the patches' root mean square: below is the rounding of single precision."""


@dataclass(frozen=True)
class Detectability:
    """`auc`: area under the ROC curve, 0.5 is chance. `d_prime`: 0 is chance. Each nan where it is not defined."""

    auc: float
    d_prime: float


def dense_widths(side: int) -> tuple[float, ...]:
    """The widths, in cycles a pixel, of the dense channels that a patch of `side` pixels can hold.

    sigma_j = 0.005 * 1.4^j for j = 1, 2, ... The paper takes ten of them for large patches. Taken here: those that pass
    most at no less than one cycle a patch and no more than the Nyquist limit. That is one more than the tenth at the
    fine end, for lesions of two or three pixels, and fewer at the coarse end.
    """
    peak = 2 * np.sqrt(np.log(Q) / (1 - Q**-2))  # where a channel passes most, in its sigmas: its derivative is 0
    widths = [FIRST * RATIO**j for j in range(1, 20)]
    return tuple(width for width in widths if 1 / side <= peak * width <= 0.5)


def channels(side: int, widths: Sequence[float]) -> Values:
    """Difference-of-Gaussians channels (Abbey and Barrett, JOSA A 18, 473 to 488, 2001), centred on index `side // 2`.

    At the frequency rho: C_j = exp(-(rho / (Q sigma_j))² / 2) - exp(-(rho / sigma_j)² / 2), with Q = 1.67. Rings in the
    plane of frequencies: no channel sees the mean of a patch or which way a lesion is turned.

    Args:
        side: pixels along a patch.
        widths: sigma_j of each channel in cycles a pixel, above 0, as `dense_widths` gives them.

    Returns:
        (n, side * side): a channel a row, of norm 1. Their products with a patch are the channels' outputs.
    """
    squared = np.fft.fftfreq(side)[:, None] ** 2 + np.fft.fftfreq(side)[None, :] ** 2
    profiles = np.empty((len(widths), side * side))
    for row, width in zip(profiles, widths, strict=True):
        spectrum = np.exp(-squared / (2 * (Q * width) ** 2)) - np.exp(-squared / (2 * width**2))
        row[:] = np.fft.fftshift(np.fft.ifft2(spectrum).real).ravel()
    return profiles / np.linalg.norm(profiles, axis=1, keepdims=True)


def hotelling_ratings(
    train_present: Array,
    train_absent: Array,
    test_present: Array,
    test_absent: Array,
    noise: float,
    seed: int = 0,
) -> tuple[Values, Values]:
    """Train a channelised Hotelling observer on patches of some subjects, and rate patches of others.

    Internal noise stands for what a reader does not repeat: normal, independent of channel to channel, of a variance
    that is `noise` times that of the channel's own outputs. It is in the covariance of the training and is drawn for
    every rating (channel noise, independent and non-uniform: Zhang, Pham and Eckstein, Med Phys 34, 3312 to 3322, 2007;
    Brankov, Phys Med Biol 58, 7159 to 7182, 2013). The same seed and counts give the same draws: models are compared
    under the same noise.

    Few patches give a covariance that cannot be inverted, or only badly. So the correlations of the channels are shrunk
    towards zero by the share that is estimated to be chance (Schäfer and Strimmer, Stat Appl Genet Mol Biol 4, 32,
    2005): hardly at all for many patches, and almost wholly for a few.

    Args:
        train_present: (n, side, side) with the lesion in the centre (index `side // 2`).
        train_absent: the same without, any number.
        test_present: patches to rate, of other subjects.
        test_absent: the same without.
        noise: variance of the internal noise in parts of a channel's own, 0 or more; 0: none.
        seed: of the internal noise.

    Returns:
        Ratings of `test_present` and `test_absent`. All nan where a class has fewer than 2 patches to train on.

    Raises:
        ValueError: patches are not square, differ in size or have a side below 3, or `noise` is below 0.
    """
    classes = [np.asarray(patches, np.float64) for patches in (train_present, train_absent, test_present, test_absent)]
    side = classes[0].shape[-1]
    square = all(patches.ndim == 3 and patches.shape[1:] == (side, side) for patches in classes)
    if not (square and side >= LEAST_SIDE and noise >= 0):
        raise ValueError(f"patches of {[patches.shape for patches in classes]} and a noise of {noise:g}")
    if min(len(classes[0]), len(classes[1])) < LEAST_PATCHES:
        return np.full(len(classes[2]), np.nan), np.full(len(classes[3]), np.nan)
    profiles = channels(side, dense_widths(side)).T
    present, absent, *tests = [patches.reshape(len(patches), -1) @ profiles for patches in classes]
    difference = present.mean(0) - absent.mean(0)
    varying = np.concatenate([present - present.mean(0), absent - absent.mean(0)])
    floor = LEAST_SPREAD * np.sqrt(np.mean([np.mean(patches**2) for patches in classes[:2]]))
    spread = np.maximum(np.sqrt((present.var(0, ddof=1) + absent.var(0, ddof=1)) / 2), max(floor, 1e-30))
    covariance = _correlation(varying) + noise * np.eye(len(spread))
    template = np.linalg.pinv(covariance, rcond=1e-10, hermitian=True) @ (difference / spread)
    rng = np.random.default_rng(seed)
    first, second = [
        (outputs / spread + np.sqrt(noise) * rng.standard_normal(outputs.shape)) @ template for outputs in tests
    ]
    return first, second


def matched_filter_ratings(template: Array, present: Array, absent: Array) -> tuple[Values, Values]:
    """Ratings of a non-prewhitening observer: the sum of template times patch.

    It takes differences of brightness between patches for noise, unless the template or each patch has a mean of 0.

    Args:
        template: the expected lesion, of the shape of a patch: the mean of other subjects' patches with the lesion
            minus that of those without.
        present: (n, ...) patches with a lesion.
        absent: (m, ...) patches without.

    Raises:
        ValueError: the template has another shape than a patch.
    """
    patches = np.asarray(present, np.float64), np.asarray(absent, np.float64)
    expected = np.asarray(template, np.float64)
    if any(of_class.shape[1:] != expected.shape for of_class in patches):
        raise ValueError(f"a template of {expected.shape} for patches of {patches[0].shape} and {patches[1].shape}")
    first, second = [of_class.reshape(len(of_class), expected.size) @ expected.ravel() for of_class in patches]
    return first, second


def detectability(present: Values, absent: Values) -> Detectability:
    """How far the ratings with a lesion lie above those without.

    AUC by Mann and Whitney: the share of pairs in which the patch with the lesion is rated higher, ties half. d': the
    difference of the means over the root of the mean of the two variances. No AUC without ratings of both classes or
    with one that is not a number; no d' below two of each or where none of them varies.
    """
    present, absent = np.asarray(present, np.float64), np.asarray(absent, np.float64)
    ratings = np.concatenate([present, absent])
    if not (len(present) and len(absent) and np.isfinite(ratings).all()):
        return Detectability(float("nan"), float("nan"))
    from scipy.stats import rankdata

    ranks = rankdata(ratings)[: len(present)]
    auc = (float(ranks.sum()) - len(present) * (len(present) + 1) / 2) / (len(present) * len(absent))
    if min(len(present), len(absent)) < 2 or not (np.ptp(present) > 0 or np.ptp(absent) > 0):
        return Detectability(auc, float("nan"))
    spread = np.sqrt((present.var(ddof=1) + absent.var(ddof=1)) / 2)
    return Detectability(auc, float((present.mean() - absent.mean()) / spread))


def _correlation(varying: Values) -> Values:
    """Correlations of the columns of (n, channels), whose means are 0, shrunk as Schäfer and Strimmer (2005) say."""
    n = len(varying)
    scale = np.sqrt((varying**2).mean(0))
    standard = varying / np.where(scale > 0, scale, 1)
    products = standard[:, :, None] * standard[:, None, :]
    correlation = products.mean(0)
    chance = ((products - correlation) ** 2).sum(0) / (n * (n - 1))  # the variance of each correlation
    off = ~np.eye(len(scale), dtype=bool)
    total = float((correlation[off] ** 2).sum())
    share = min(1.0, float(chance[off].sum()) / total) if total > 0 else 1.0
    shrunk: Values = np.where(off, (1 - share) * correlation, 1.0)
    return shrunk
