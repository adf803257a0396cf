"""Does the vessel tree survive? A ridge filter on an image against the vessels a reader drew."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from medsr.core.resample import resize
from medsr.core.types import Array

Mask = NDArray[np.bool_]
SPECIFICITY = 0.95
THIN = 3
"""Widest thin vessel, in pixels of the annotation."""
RIM = 4
"""Pixels at the edge of the field of view that are replaced: its step is no vessel."""
FILTERS = ("sato", "frangi", "meijering")
SIGMAS = ((2.0,), (1.0, 2.0, 3.0), (1.5, 2.5, 3.5))


@dataclass(frozen=True)
class Detector:
    """A ridge filter of scikit-image (Sato 1998, Frangi 1998 or Meijering 2004), its sigmas in pixels of the image."""

    filter: str = "sato"
    sigmas: tuple[float, ...] = (1.5, 2.5, 3.5)

    def __call__(self, grey: Array, field_of_view: Mask) -> Array:
        """(H, W) in [0, 1], vessels dark, to (H, W): the higher, the more like a vessel."""
        from scipy.ndimage import binary_erosion, distance_transform_edt
        from skimage import filters

        inside = binary_erosion(field_of_view, iterations=RIM)
        if inside.any():
            nearest = distance_transform_edt(~inside, return_distances=False, return_indices=True)
            grey = grey[tuple(nearest)]
        response = getattr(filters, self.filter)(grey, sigmas=self.sigmas, black_ridges=True)
        return np.asarray(response, np.float32)


@dataclass(frozen=True)
class Annotation:
    """A reader's vessels: (H, W) each. `thin`: vessels up to 3 pixels wide. `field_of_view`: where anything counts."""

    vessels: Mask
    thin: Mask
    field_of_view: Mask

    @classmethod
    def of(cls, vessels: Mask, field_of_view: Mask) -> Annotation:
        """With the thin vessels found by their width."""
        return cls(vessels, vessels & (widths(vessels) <= THIN), field_of_view)


@dataclass(frozen=True)
class Vessels:
    """Over the pixels of one field of view. Sensitivities are at 95 % specificity on that image.

    `auc`: area under the ROC curve. A sensitivity is None where the annotation has no such vessel.
    """

    auc: float | None
    sensitivity: float | None
    thin_sensitivity: float | None


def widths(vessels: Mask) -> NDArray[np.float64]:
    """(H, W): at every vessel pixel the width of its vessel in pixels, by the distance transform; 0 elsewhere.

    Pixels are doubled first, so that the distance on the centre line is the width itself, odd or even. A pixel has the
    width of the nearest point of the centre line.
    """
    from scipy.ndimage import distance_transform_edt
    from skimage.morphology import skeletonize

    if not vessels.any():
        return np.zeros(vessels.shape)
    doubled = np.pad(vessels.repeat(2, 0).repeat(2, 1), 1)
    distance = distance_transform_edt(doubled)
    nearest = distance_transform_edt(~skeletonize(doubled), return_distances=False, return_indices=True)
    width = np.where(doubled, distance[tuple(nearest)], 0)[1:-1, 1:-1]
    result: NDArray[np.float64] = width.reshape(vessels.shape[0], 2, vessels.shape[1], 2).max(axis=(1, 3))
    return result


def score(detector: Detector, grey: Array, field_of_view: Mask, annotation: Annotation) -> Vessels:
    """Detect vessels in `grey`, (h, w) like its `field_of_view`, and compare with an annotation of any other size.

    The response is brought to the annotation's grid, so that the reader's pixels stay as drawn.
    """
    response = detector(grey, field_of_view)
    if response.shape != annotation.vessels.shape:
        response = resize(response[:, :, None], annotation.vessels.shape, "bicubic")[:, :, 0]
    where = annotation.field_of_view
    vessel, other = response[where & annotation.vessels], response[where & ~annotation.vessels]
    thin = response[where & annotation.thin]
    if not len(vessel) or not len(other):
        return Vessels(None, None, None)
    threshold = np.quantile(other, SPECIFICITY)
    return Vessels(
        _auc(vessel, other),
        float(np.mean(vessel > threshold)),
        float(np.mean(thin > threshold)) if len(thin) else None,
    )


def calibrate(examples: Sequence[tuple[Array, Mask, Annotation]]) -> tuple[Detector, float]:
    """The detector with the highest mean AUC over `examples` (as `score` takes them), and that mean."""
    best, highest = Detector(), -1.0
    for name in FILTERS:
        for sigmas in SIGMAS:
            detector = Detector(name, sigmas)
            mean = float(np.mean([score(detector, *example).auc or 0.0 for example in examples]))
            if mean > highest:
                best, highest = detector, mean
    return best, highest


def _auc(vessel: Array, other: Array) -> float:
    from scipy.stats import mannwhitneyu

    return float(mannwhitneyu(vessel, other, method="asymptotic").statistic) / (len(vessel) * len(other))
