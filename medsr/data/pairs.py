"""Ground truth and low resolution as pairs of files made elsewhere."""

from __future__ import annotations

from collections.abc import Collection
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from medsr.core.errors import InputError, UsageError
from medsr.core.resources import expanded
from medsr.core.types import Array
from medsr.data.augmentation import flip_rotate, intensity_jitter
from medsr.data.crops import GroundTruthCrops, as_channels, bright_enough
from medsr.data.sources import DataSplit, ImageSource, folder_of, split
from medsr.data.streams import stream
from medsr.io.images import image as image_io
from medsr.recipe import Recipe
from medsr.recipe.degradation import low_resolution_folder

if TYPE_CHECKING:
    import torch


class Partners:
    """The low-resolution file of every ground truth. Raises UsageError where the recipe's folders are not there."""

    def __init__(self, recipe: Recipe) -> None:
        low = folder_of(low_resolution_folder(recipe.degradation), "degradation.low_resolution")
        self.roots = [folder_of(recipe.data.train, "data.train")]
        if isinstance(recipe.data.validation, str):
            other = expanded(recipe.data.validation)
            self.roots += [other] if other.is_dir() else []
        self.scale, self.bits = recipe.scale, recipe.data.bits
        self.by_stem: dict[Path, list[Path]] = {}
        for path in image_io.list_images(low):
            self.by_stem.setdefault(_stem(path.relative_to(low)), []).append(path)
        self.folder = low

    def __call__(self, path: Path) -> Path:
        """Raises InputError where there is none, or more than one."""
        root = next(root for root in self.roots if path.is_relative_to(root))
        stem = _stem(path.relative_to(root))
        for name in (stem.with_name(f"{stem.name}x{self.scale}"), stem):
            matches = [
                candidate for candidate in self.by_stem.get(name, []) if candidate != path
            ]  # both may lie in one folder
            if len(matches) > 1:
                names = " and ".join(match.name for match in matches)
                raise InputError(f"{path}: {names} could both be its low resolution")
            if matches:
                return matches[0]
        raise InputError(f"{path}: has no low resolution {stem} or {stem.name}x{self.scale} in {self.folder}")

    def check(self, path: Path, size: tuple[int, int]) -> None:
        """Raise InputError unless the low resolution is there, and smaller by exactly the scale."""
        low = self(path)
        height, width = image_io.read_as_shown(low, self.bits).pixels.shape[:2]
        if (height * self.scale, width * self.scale) != size:
            raise InputError(
                f"{low}: {width}x{height}, its ground truth {size[1]}x{size[0]} is not {self.scale} times that"
            )


def _stem(path: Path) -> Path:
    """Without a suffix that names a format: what follows the last point may be part of a name (`IM.0001`)."""
    return path.with_suffix("") if path.suffix.lower() in image_io.SUFFIXES else path


def alike(high: image_io.Image, low: image_io.Image) -> tuple[image_io.Image, image_io.Image]:
    """Two 16-bit images with one meaning of their values, where not both declare it: the declared, or the wider one."""
    if high.pixels.dtype != np.uint16 or low.pixels.dtype != np.uint16 or high.window == low.window:
        return high, low
    declared = [bool(image.extra.get("declared")) for image in (high, low)]
    if all(declared):
        return high, low
    wider = high if high.window.high >= low.window.high else low
    window = (high if declared[0] else low if declared[1] else wider).window
    return replace(high, window=window), replace(low, window=window)


def split_pairs(recipe: Recipe, kept: Collection[Path] | None = None) -> DataSplit:
    """As `sources.split`; what has no partner of the right size is left out, with the reason. Raises UsageError."""
    partners = Partners(recipe)
    files = split(recipe.data, recipe.degrade_crop, recipe.seed, kept)
    reasons: dict[Path, str] = {}
    sizes = {source.path: source.size for source in files.train}
    for path in (*sizes, *files.held_out):
        try:
            partners.check(path, sizes.get(path) or image_io.read_as_shown(path, recipe.data.bits).pixels.shape[:2])
        except InputError as error:
            reasons[path] = str(error)
    complete = replace(
        files,
        train=tuple(source for source in files.train if source.path not in reasons),
        held_out=tuple(path for path in files.held_out if path not in reasons),
        skipped=(*files.skipped, *reasons.items()),
    )
    if not complete.train:
        raise UsageError(f"{partners.folder}: no pair to train on; {next(iter(reasons.values()))}")
    if files.held_out and not complete.held_out:
        raise UsageError(f"{partners.folder}: no pair to validate on; {reasons[files.held_out[0]]}")
    return complete


class PairedCrops(GroundTruthCrops):
    """(iteration, slot) -> [ground truth (channels, side, side), low resolution (channels, side / scale, ...)]."""

    def __init__(self, sources: tuple[ImageSource, ...], recipe: Recipe) -> None:
        super().__init__(sources, recipe.data, recipe.degrade_crop, recipe.channels, recipe.seed)
        self.scale, self.partners = recipe.scale, Partners(recipe)

    def __getitem__(self, key: tuple[int, int]) -> list[torch.Tensor]:
        import torch

        rng = stream(self.seed, key[0], 1 + key[1])
        pair = bright_enough(self._draw_pair, rng, self.data.darkest_crop)
        return [torch.from_numpy(np.ascontiguousarray(np.moveaxis(crop, -1, 0))) for crop in pair]

    def _draw_pair(self, rng: np.random.Generator) -> tuple[Array, Array]:
        source = self.sources[rng.integers(len(self.sources))]
        low_path = self.partners(source.path)
        low = self._load(ImageSource(low_path, (source.size[0] // self.scale, source.size[1] // self.scale)))
        high, low = alike(self._load(source), low)
        side = self.side // self.scale
        top, left = (int(rng.integers(length - side + 1)) for length in low.pixels.shape[:2])
        pair = []
        for image, scale in ((high, self.scale), (low, 1)):
            y, x, length = top * scale, left * scale, side * scale
            unit = image.window.to_unit(image.pixels[y : y + length, x : x + length]).clip(0, 1)
            crop = as_channels(unit, self.channels)
            same = deepcopy(rng)  # both are turned and coloured alike: each has a stream in the same state
            crop = flip_rotate(crop, self.data.flips, same)
            pair.append(crop if self.data.jitter is None else intensity_jitter(crop, self.data.jitter, same))
        return pair[0], pair[1]
