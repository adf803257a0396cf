"""The pictures of an evaluation: kept while they are made, made again where that would take too much memory."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from medsr.commands.evaluate.case import Benchmark, Item, Runner
from medsr.core.types import Array

BUDGET = 256_000_000
"""Bytes of pictures kept."""
TRUTH = "ground truth"


class Gallery:
    """(image, model) -> (H, W, 1 or 3) in [0, 1]; `ground truth` stands beside the models."""

    def __init__(self, benchmark: Benchmark, items: Mapping[str, Item], runners: Mapping[str, Runner]) -> None:
        self.benchmark, self.items, self.runners = benchmark, items, runners
        self._kept: dict[tuple[str, str], NDArray[np.uint8]] = {}
        self._free = BUDGET

    def keep(self, image: str, pictures: Mapping[str, Array]) -> None:
        """Remember the pictures of one image, if there is room."""
        size = sum(pixels.size for pixels in pictures.values())
        if size <= self._free:
            self._free -= size
            self._kept |= {
                (image, name): np.rint(pixels.clip(0, 1) * 255).astype(np.uint8) for name, pixels in pictures.items()
            }

    def get(self, image: str, name: str) -> Array:
        """The picture, in 8 bits."""
        if (image, name) not in self._kept:
            self._free = BUDGET
            self._kept.clear()
            self.keep(image, self._make(image))
        return self._kept[image, name].astype(np.float32) / np.float32(255)

    def _make(self, image: str) -> dict[str, Array]:
        case = self.benchmark.load(self.items[image])
        shown = {name: self.benchmark.show(runner(case), case) for name, runner in self.runners.items()}
        return {TRUTH: self.benchmark.show(case.ground_truth, case), **shown}
