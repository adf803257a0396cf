"""Training pairs for volumes: slices whose rows were acquired thick, beside the fine ones (P2)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from medsr.degradation.slice_profile import Profile, consistent_spline, matrix

if TYPE_CHECKING:
    from torch import Tensor

    from medsr.recipe import SliceProfile

FACTOR_RANGE = 5.0


@dataclass(frozen=True)
class SliceSampling:
    """What one axis was acquired with: `coarse` voxels over the crop, through a profile of `width` coarse voxels.

    `easing`: of the spline that brings it back (`slice_profile.consistent_spline`).
    """

    coarse: int
    profile: Profile = "box"
    width: float = 1.0
    easing: float = 0.0


def draw(
    settings: SliceProfile, rng: np.random.Generator, count: int, side: int
) -> list[tuple[SliceSampling, SliceSampling | None]]:
    """For each of `count` crops of `side` voxels: how its rows are thick, and its columns too where they are.

    Factors are drawn evenly in their logarithm and rounded so that whole coarse voxels fill the crop.
    """
    samplings = []
    low, high = settings.factors
    fewest, most = int(np.ceil(side / high)), int(side / low)
    for _ in range(count):
        factor = np.exp(rng.uniform(np.log(low), np.log(high)))
        coarse = int(np.clip(round(side / factor), fewest, most))
        if rng.random() < settings.gaussian_probability:
            thick = SliceSampling(coarse, "gaussian", rng.uniform(*settings.fwhm))
        elif settings.gaps and rng.random() < settings.gaps:
            thick = SliceSampling(coarse, "box", rng.uniform(*settings.thickness))
        else:
            thick = SliceSampling(coarse)
        samplings.append((thick, thick if rng.random() < settings.both_axes else None))
    return samplings


def apply(high: Tensor, samplings: list[tuple[SliceSampling, SliceSampling | None]]) -> Tensor:
    """(B, C, S, S) fine crops to (B, C + 2, S, S): acquired thick and interpolated back; then the two factor maps."""
    import torch

    side = high.shape[-1]
    crops = []
    for crop, (rows, columns) in zip(high, samplings, strict=True):
        low = torch.from_numpy(downsample_upsample(side, rows)).to(crop) @ crop
        if columns is not None:
            low = low @ torch.from_numpy(downsample_upsample(side, columns)).to(crop).T
        factors = (side / rows.coarse, side / columns.coarse if columns else 1.0)
        crops.append(torch.cat([low, torch.from_numpy(factor_maps(factors, (side, side))).to(crop)]))
    return torch.stack(crops)


def factor_maps(factors: tuple[float, float], shape: tuple[int, int]) -> NDArray[np.float32]:
    """(2, H, W): how much coarser rows and columns were acquired, 0 for not at all, 1 for six times."""
    values = (np.array(factors, np.float32) - 1) / FACTOR_RANGE
    return np.ascontiguousarray(np.broadcast_to(values[:, None, None], (2, *shape)))


@lru_cache(maxsize=256)
def downsample_upsample(side: int, thick: SliceSampling) -> NDArray[np.float32]:
    shape = (side, thick.coarse, thick.profile, thick.width)
    if thick.width != 1 or thick.profile == "gaussian":  # drawn from a range: not worth remembering each matrix
        acquisition = matrix.__wrapped__(*shape)
        interpolate = consistent_spline.__wrapped__(*shape, thick.easing)
    else:
        acquisition, interpolate = matrix(*shape), consistent_spline(*shape, thick.easing)
    result: NDArray[np.float32] = (interpolate @ acquisition).astype(np.float32)
    return result
