"""Lesions that a reader outlined: contrast and volume before and after, lesion by lesion."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medsr.core.errors import InputError
from medsr.core.types import Array
from medsr.metrics.lesion_contrast import Contrast, OutlinedLesion, contrast, extent, outlined_lesions, stands_out
from medsr.metrics.regions import foreground

Mask = NDArray[np.bool_]
NAN = float("nan")
MOST = 0.2
"""Part of the foreground that lesions may take: more is the mask of an organ, the brain or the field of view."""
ML = 1000
"""Cubic millimetres."""


@dataclass(frozen=True)
class RealLesion:
    """One connected part of a mask, in one model's result.

    `volume`: by the mask, in `unit` (ml, mm² or pixels). `contrast`: its mean minus the median of the tissue 2 to 4 mm
    or pixels around it, in unit values. `extent`: how much of it lies beyond half of the true contrast, in `unit`; see
    `medsr.metrics.lesion_contrast`. `true_contrast`, `true_extent`: those of the ground truth. All four are NaN where
    too little tissue is around. `stands_out`: whether it has 3 voxels and a true contrast above the spread of that
    tissue; only then is it said what was kept. `centre`: a voxel or pixel in the lesion's middle, in the ground truth.
    """

    subject: str
    model: str
    number: int
    volume: float
    contrast: float
    extent: float
    true_contrast: float = NAN
    true_extent: float = NAN
    stands_out: bool = False
    unit: str = "ml"
    centre: tuple[int, ...] = ()

    @property
    def contrast_kept(self) -> float:
        """In parts of the ground truth's; NaN where the lesion does not stand out."""
        return self.contrast / self.true_contrast if self.stands_out else NAN

    @property
    def extent_kept(self) -> float:
        """In parts of the ground truth's; NaN where the lesion does not stand out."""
        return self.extent / self.true_extent if self.stands_out else NAN

    def to_json(self) -> dict[str, Any]:
        """Every field, and what was kept; None for NaN."""
        fields = asdict(self) | {"contrast_kept": self.contrast_kept, "extent_kept": self.extent_kept}
        unknown = {name for name, value in fields.items() if isinstance(value, float) and not np.isfinite(value)}
        return {name: None if name in unknown else value for name, value in fields.items()} | {
            "centre": list(self.centre)
        }


def real_lesions(
    subject: str, truth: Array, mask: Mask, results: Mapping[str, Array], step: float, unit: str
) -> list[RealLesion]:
    """Every lesion of a mask in every model's result, lesion by lesion; nothing for an empty mask.

    `truth`, `results`: (H, W, C), of colour the green channel counts, or (I, J, K); `mask`: their (H, W) or (I, J, K).
    `step`: from voxel to voxel, in `unit` (`mm` or `pixels`). Raises InputError where shapes differ, and for a mask
    that covers more than lesions do.
    """
    for name, array in {"the mask": mask, **results}.items():
        _check_shape(subject, name, array.shape[: mask.ndim], truth.shape[: mask.ndim])
    tissue = foreground(truth if mask.ndim == 2 else truth[..., None])
    part = np.count_nonzero(mask) / np.count_nonzero(tissue)
    if part > MOST:
        raise InputError(
            f"{subject}: the mask covers {part:.0%} of what the image shows; expected lesions, at most {MOST:.0%}"
        )
    if mask.ndim == 2:
        truth, results = _grey(truth), {model: _grey(result) for model, result in results.items()}
    rows = []
    for lesion in outlined_lesions(mask, step, tissue):
        true = contrast(truth, lesion)
        for model, result in results.items():
            rows.append(_measured(subject, model, lesion, (truth, result), true, unit))
    return rows


def size_unit(axes: int, unit: str) -> tuple[str, float]:
    """The unit of sizes, and how many of it is one unit of length to the power of `axes`."""
    if unit != "mm":
        return "pixels", 1.0
    return ("ml", 1 / ML) if axes == 3 else ("mm²", 1.0)


def _measured(
    subject: str, model: str, lesion: OutlinedLesion, arrays: tuple[Array, Array], true: Contrast | None, unit: str
) -> RealLesion:
    truth, result = arrays
    name, factor = size_unit(truth.ndim, unit)
    row = RealLesion(subject, model, lesion.number, lesion.size * factor, NAN, NAN, unit=name, centre=lesion.centre)
    own = contrast(result, lesion)
    if true is None or own is None:
        return row
    return replace(
        row,
        contrast=own.contrast,
        extent=extent(result, lesion, own.around, true.contrast) * factor,
        true_contrast=true.contrast,
        true_extent=extent(truth, lesion, true.around, true.contrast) * factor,
        stands_out=stands_out(lesion, true),
    )


def _grey(array: Array) -> Array:
    """(H, W): of colour the green channel, in which lesions of the retina show best."""
    return array[:, :, 1 if array.shape[2] == 3 else 0]


def _check_shape(subject: str, name: str, shape: tuple[int, ...], expected: tuple[int, ...]) -> None:
    if shape != expected:
        dims = [" x ".join(map(str, sizes)) for sizes in (shape, expected)]
        raise InputError(f"{subject}: {name} has {dims[0]} pixels or voxels, the ground truth {dims[1]}")
