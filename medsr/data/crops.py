"""Training crops of ground-truth images."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from medsr.core.types import Array
from medsr.data import random_lesions
from medsr.data.augmentation import flip_rotate, intensity_jitter
from medsr.data.sources import ImageSource
from medsr.data.streams import stream
from medsr.data.weights import weighted_choice
from medsr.degradation import multiscale
from medsr.io.images import image as image_io
from medsr.recipe import Data

if TYPE_CHECKING:
    import torch

DRAWS = 20
"""How often a crop that is too dark is drawn again before it is taken as it is."""


Candidate = TypeVar("Candidate", bound=tuple[Any, ...])


def bright_enough(
    draw: Callable[[np.random.Generator], Candidate], rng: np.random.Generator, darkest: float
) -> Candidate:
    """A crop and what was drawn with it; its mean is at least `darkest`, or it is the last of DRAWS tries more."""
    candidate = draw(rng)
    for _ in range(DRAWS):
        if candidate[0].mean() >= darkest:
            break
        candidate = draw(rng)
    return candidate


class GroundTruthCrops:
    """A map-style dataset: (iteration, slot) -> [one ground-truth crop], float32 (channels, side, side) in [0, 1].

    Every choice (image, place, flips, quarter turns, lesions) comes from `stream(seed, iteration, slot)`; lesions last,
    so that crops are the same but for them.
    """

    def __init__(self, sources: tuple[ImageSource, ...], data: Data, side: int, channels: int, seed: int) -> None:
        self.sources, self.data, self.side, self.channels, self.seed = sources, data, side, channels, seed
        self._choice = weighted_choice([source.path.name for source in sources], data.weights)
        self._cache: OrderedDict[ImageSource, image_io.Image] = OrderedDict()
        self._cached_bytes = 0

    def __getitem__(self, key: tuple[int, int]) -> list[torch.Tensor]:
        import torch

        iteration, slot = key
        rng = stream(self.seed, iteration, 1 + slot)
        crop, plain = bright_enough(self._draw, rng, self.data.darkest_crop)
        random_lesions.apply(crop, random_lesions.draw(plain, self.data, 1.0, rng))
        return [torch.from_numpy(np.ascontiguousarray(np.moveaxis(crop, -1, 0)))]

    def _draw(self, rng: np.random.Generator) -> tuple[Array, Array]:
        """The crop, and the same before its intensities were changed."""
        image = self._load(self.sources[self._choice(rng)])
        height, width = image.pixels.shape[:2]
        top, left = rng.integers(height - self.side + 1), rng.integers(width - self.side + 1)
        stored = image.pixels[top : top + self.side, left : left + self.side]
        crop = as_channels(
            image.window.to_unit(stored).clip(0, 1), self.channels
        )  # hot pixels: the detector's brightest
        plain = flip_rotate(crop, self.data.flips, rng)
        return (plain if self.data.jitter is None else intensity_jitter(plain, self.data.jitter, rng)), plain

    def _load(self, source: ImageSource) -> image_io.Image:
        if source in self._cache:
            self._cache.move_to_end(source)
            return self._cache[source]
        image = multiscale.reduce(image_io.read_as_shown(source.path, self.data.bits), source.size)
        self._cache[source] = image
        self._cached_bytes += image.pixels.nbytes
        while self._cached_bytes > self.data.cache_gb * 1e9 and len(self._cache) > 1:
            _, oldest = self._cache.popitem(last=False)
            self._cached_bytes -= oldest.pixels.nbytes
        return image


def as_channels(unit: Array, channels: int) -> Array:
    """(H, W, 1 or 3) to (H, W, channels): grey is repeated, colour is averaged."""
    if unit.shape[2] == channels:
        return unit
    return np.repeat(unit, 3, axis=2) if channels == 3 else unit.mean(axis=2, keepdims=True)
