"""Training crops of slices of volumes, their size, contrast and noise varied (P2)."""

from __future__ import annotations

import math
from collections import OrderedDict
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from medsr.core.types import Array
from medsr.data import random_lesions
from medsr.data.augmentation import random_contrast, random_zoom
from medsr.data.crops import bright_enough
from medsr.data.streams import stream
from medsr.data.volumes import VolumeSource, load
from medsr.data.weights import weighted_choice
from medsr.recipe import Data

if TYPE_CHECKING:
    import torch

PAIRINGS = tuple((normal, rows) for normal in range(3) for rows in range(3) if normal != rows)
"""Which axis a slice is perpendicular to, and which of its axes is made thick: P2's six."""


class SliceCrops:
    """A map-style dataset: (iteration, slot) -> [one crop of a slice], float32 (1, side, side), rows to be made thick.

    Every volume, pairing, place, flip, contrast and lesion comes from `stream(seed, iteration, slot)`; lesions last, so
    that crops are the same but for them.
    """

    def __init__(
        self,
        volumes: tuple[VolumeSource, ...] | Array,
        data: Data,
        side: int,
        seed: int,
        pairings: tuple[tuple[int, int], ...] = PAIRINGS,
    ) -> None:
        self.volumes, self.data, self.side, self.seed, self.pairings = volumes, data, side, seed, pairings
        names = [] if isinstance(volumes, np.ndarray) else [source.path.name for source in volumes]
        self._choice = weighted_choice(names, data.weights)
        self._cache: OrderedDict[Path, Array] = OrderedDict()

    def __getitem__(self, key: tuple[int, int]) -> list[torch.Tensor]:
        import torch

        iteration, slot = key
        rng = stream(self.seed, iteration, 1 + slot)
        plain, step = bright_enough(self._draw, rng, self.data.darkest_crop)
        crop = plain if self.data.jitter is None else random_contrast(plain, self.data.jitter, rng)
        if lesions := random_lesions.draw(plain, self.data, step, rng):
            crop = crop.copy()  # it may be a part of the volume
            random_lesions.apply(crop, lesions)
        return [torch.from_numpy(np.ascontiguousarray(crop[None]))]

    def _draw(self, rng: np.random.Generator) -> tuple[Array, float]:
        """A crop, and the mm from one of its voxels to the next (1 where that is not known)."""
        volume, spacing = (self.volumes, (1.0,) * 3) if isinstance(self.volumes, np.ndarray) else self._load(rng)
        normal, rows = self.pairings[int(rng.integers(len(self.pairings)))]
        region: list[slice | int] = []
        for axis, length in enumerate(volume.shape):
            side = 1 if axis == normal else self._taken(rng, length)
            start = int(rng.integers(length - side + 1))
            region.append(start if axis == normal else slice(start, start + side))
        crop = random_zoom(volume[tuple(region)], self.side)
        crop = crop.T if rows > 3 - normal - rows else crop
        if self.data.flips:  # no quarter turns: the rows are what is made thick
            upright_share = 0.5 if self.data.flips is True else 1 - self.data.flips
            crop = crop[:: 1 if rng.random() < upright_share else -1, :: 1 if rng.random() < upright_share else -1]
        return crop, math.sqrt(math.prod(spacing) / spacing[normal])

    def _taken(self, rng: np.random.Generator, length: int) -> int:
        """Voxels of an axis that become the crop's side."""
        low, high = self.data.jitter.zoom if self.data.jitter else (1.0, 1.0)
        if low == high == 1:
            return self.side
        return min(length, round(self.side / np.exp(rng.uniform(np.log(low), np.log(high)))))

    def _load(self, rng: np.random.Generator) -> tuple[Array, tuple[float, ...]]:
        source = self.volumes[self._choice(rng)]
        if source.path not in self._cache:
            self._cache[source.path] = load(source.path, max(100, self.side))
            while (
                sum(volume.nbytes for volume in self._cache.values()) > self.data.cache_gb * 1e9
                and len(self._cache) > 1
            ):
                self._cache.popitem(last=False)
        self._cache.move_to_end(source.path)
        return self._cache[source.path], source.spacing
