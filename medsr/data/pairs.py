"""Ground truth and low resolution as pairs of files made elsewhere."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from medsr.data.crops import GroundTruthCrops, as_channels, jittered, turned
from medsr.data.sources import Source, Split, folder_of, split
from medsr.data.streams import stream
from medsr.errors import InputError, UsageError
from medsr.io import image as image_io
from medsr.recipe import Pairs, Recipe

if TYPE_CHECKING:
    import torch

Array = NDArray[np.float32]


class Partners:
    """The low-resolution file of every ground truth. Raises UsageError where the recipe's folders are not there."""

    def __init__(self, recipe: Recipe) -> None:
        assert isinstance(recipe.degradation, Pairs)
        low = folder_of(recipe.degradation.low_resolution, "degradation.low_resolution")
        self.roots = [folder_of(recipe.data.train, "data.train")]
        if isinstance(recipe.data.validation, str) and Path(recipe.data.validation).is_dir():
            self.roots.append(Path(recipe.data.validation))
        self.scale = recipe.scale
        self.known = {path.relative_to(low).with_suffix(""): path for path in image_io.list_images(low)}
        self.folder = low

    def __call__(self, path: Path) -> Path:
        """Raises InputError where there is none."""
        root = next(root for root in self.roots if path.is_relative_to(root))
        stem = path.relative_to(root).with_suffix("")
        for name in (stem, stem.with_name(f"{stem.name}x{self.scale}")):
            if name in self.known:
                return self.known[name]
        raise InputError(f"{path}: has no low resolution {stem} or {stem.name}x{self.scale} in {self.folder}")

    def check(self, path: Path, size: tuple[int, int]) -> None:
        """Raise InputError unless the low resolution is there, and smaller by exactly the scale."""
        low = self(path)
        height, width = image_io.read(low).pixels.shape[:2]
        if (height * self.scale, width * self.scale) != size:
            raise InputError(
                f"{low}: {width}x{height}, its ground truth {size[1]}x{size[0]} is not {self.scale} times that"
            )


def split_pairs(recipe: Recipe) -> Split:
    """As `sources.split`; what has no partner of the right size is left out, with the reason. Raises UsageError."""
    partners = Partners(recipe)
    found = split(recipe.data, recipe.degrade_crop, recipe.seed)
    reasons: dict[Path, str] = {}
    sizes = {source.path: source.size for source in found.train}
    for path in (*sizes, *found.held_out):
        try:
            partners.check(path, sizes.get(path) or image_io.read(path).pixels.shape[:2])
        except InputError as error:
            reasons[path] = str(error)
    kept = replace(
        found,
        train=tuple(source for source in found.train if source.path not in reasons),
        held_out=tuple(path for path in found.held_out if path not in reasons),
        skipped=(*found.skipped, *reasons.items()),
    )
    if not kept.train:
        raise UsageError(f"{partners.folder}: no pair to train on; {next(iter(reasons.values()))}")
    if found.held_out and not kept.held_out:
        raise UsageError(f"{partners.folder}: no pair to validate on; {reasons[found.held_out[0]]}")
    return kept


class PairedCrops(GroundTruthCrops):
    """(iteration, slot) -> [ground truth (channels, side, side), low resolution (channels, side / scale, ...)]."""

    def __init__(self, sources: tuple[Source, ...], recipe: Recipe) -> None:
        super().__init__(sources, recipe.data, recipe.degrade_crop, recipe.channels, recipe.seed)
        self.scale, self.partners = recipe.scale, Partners(recipe)

    def __getitem__(self, key: tuple[int, int]) -> list[torch.Tensor]:
        import torch

        rng = stream(self.seed, key[0], 1 + key[1])
        return [torch.from_numpy(np.ascontiguousarray(np.moveaxis(crop, -1, 0))) for crop in self._draw_pair(rng)]

    def _draw_pair(self, rng: np.random.Generator) -> tuple[Array, Array]:
        source = self.sources[rng.integers(len(self.sources))]
        low_path = self.partners(source.path)
        low = self._load(Source(low_path, (source.size[0] // self.scale, source.size[1] // self.scale)))
        high = self._load(source)
        side = self.side // self.scale
        top, left = (int(rng.integers(length - side + 1)) for length in low.pixels.shape[:2])
        pair = []
        for image, scale in ((high, self.scale), (low, 1)):
            y, x, length = top * scale, left * scale, side * scale
            crop = as_channels(image.window.to_unit(image.pixels[y : y + length, x : x + length]), self.channels)
            same = deepcopy(rng)  # both are turned and coloured alike: each has a stream in the same state
            crop = turned(crop, self.data.flips, same)
            pair.append(crop if self.data.jitter is None else jittered(crop, self.data.jitter, same))
        return pair[0], pair[1]
