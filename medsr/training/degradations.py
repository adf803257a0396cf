"""How each degradation of a recipe trains and validates: one strategy for each.

The sections in `recipe/degradation.py` name them. A new one may stand in a module of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from medsr.core.references import resolve
from medsr.core.types import Array
from medsr.data import crops, pairs, slices, sources, volumes
from medsr.data.batches import Crops
from medsr.data.crops import as_channels
from medsr.data.sources import DataSplit
from medsr.degradation import high_order, matlab, protocols, thick_slices
from medsr.images.network import Interpolation
from medsr.io.images import image as image_io
from medsr.recipe import Recipe
from medsr.training import validation
from medsr.training.validation import ValidationSample

if TYPE_CHECKING:
    from torch import Tensor


class DegradationStrategy:
    """Real-ESRGAN's high-order process; the others say where they differ."""

    kind = "images"
    """What is trained on, for the user."""
    baseline = "bicubic"
    """The interpolation that validation is compared with."""

    def split(self, recipe: Recipe, kept: Sequence[Path] | None) -> DataSplit:
        """What to train on and what is held out; those of `kept`, where it is not None. Raises UsageError."""
        return sources.split(recipe.data, recipe.degrade_crop, recipe.seed, kept)

    def crops(self, recipe: Recipe, files: DataSplit) -> Crops:
        """A data set of crops of the ground truth, and of the low resolution where that comes from files."""
        return crops.GroundTruthCrops(files.train, recipe.data, recipe.degrade_crop, recipe.channels, recipe.seed)

    def apply(self, recipe: Recipe, high: Tensor, rng: np.random.Generator) -> Tensor:
        """The low resolution of a batch of crops, (B, C, H, W) in [0, 1] to (B, C', H / scale, W / scale)."""
        settings: Any = recipe.degradation
        return high_order.apply(high, high_order.draw(settings, rng, len(high)), recipe.scale, settings.antialias)

    def validation_samples(self, paths: Sequence[Path], recipe: Recipe) -> list[ValidationSample]:
        """The held-out files and their low resolution, as the recipe's protocol says."""
        blur = recipe.protocol.blur_sigma
        return [validation.one_image(path, _unit(path, recipe), recipe.scale, recipe.channels, blur) for path in paths]

    def describe(self, recipe: Recipe) -> str:
        """The protocol of validation in words."""
        blur = f"Gaussian blur of sigma {recipe.protocol.blur_sigma:g}"
        return f"bicubic down by {recipe.scale}, {blur}, 8 bits; whole images, all channels"


class BicubicStrategy(DegradationStrategy):
    """MATLAB's bicubic and 8 bits, nothing drawn."""

    def apply(self, recipe: Recipe, high: Tensor, rng: np.random.Generator) -> Tensor:
        """Image by image on the CPU."""
        return _each(high, lambda image: self.reduced(image, recipe.scale))

    def reduced(self, image: Array, scale: int) -> Array:
        """(H, W, C) in [0, 1] to (H / scale, W / scale, C)."""
        size = (image.shape[0] // scale, image.shape[1] // scale)
        reduced: Array = np.rint(matlab.bicubic(image, size).clip(0, 1) * 255) / 255
        return reduced


class UnknownStrategy(BicubicStrategy):
    """P3's track with a fixed blur and shift."""

    def reduced(self, image: Array, scale: int) -> Array:
        return protocols.unknown(image, scale)

    def validation_samples(self, paths: Sequence[Path], recipe: Recipe) -> list[ValidationSample]:
        return [self._sample(path, recipe) for path in paths]

    def _sample(self, path: Path, recipe: Recipe) -> ValidationSample:
        truth = protocols.crop_to_multiple(as_channels(_unit(path, recipe), recipe.channels), 2 * recipe.scale)
        low = self.reduced(truth, recipe.scale)
        return ValidationSample(path.name, truth, low, Interpolation("bicubic")(low, recipe.scale))

    def describe(self, recipe: Recipe) -> str:
        return f"track unknown: a fixed blur and shift, down by {recipe.scale}, 8 bits; all channels"


class PairsStrategy(DegradationStrategy):
    """Low resolution that was made elsewhere, read from files."""

    def split(self, recipe: Recipe, kept: Sequence[Path] | None) -> DataSplit:
        return pairs.split_pairs(recipe, kept)

    def crops(self, recipe: Recipe, files: DataSplit) -> Crops:
        return pairs.PairedCrops(files.train, recipe)

    def apply(self, recipe: Recipe, high: Tensor, rng: np.random.Generator) -> Tensor:
        raise AssertionError("pairs: the crops bring their low resolution along")

    def validation_samples(self, paths: Sequence[Path], recipe: Recipe) -> list[ValidationSample]:
        partners = pairs.Partners(recipe)
        return [self._sample(path, partners(path), recipe) for path in paths]

    def _sample(self, path: Path, low_path: Path, recipe: Recipe) -> ValidationSample:
        pair = pairs.alike(*(image_io.read_as_shown(file, recipe.data.bits) for file in (path, low_path)))
        truth, low = (as_channels(image.to_unit().clip(0, 1), recipe.channels) for image in pair)
        return ValidationSample(path.name, truth, low, Interpolation("bicubic")(low, recipe.scale))

    def describe(self, recipe: Recipe) -> str:
        return "pairs of files; whole images, all channels"


class ThickSliceStrategy(DegradationStrategy):
    """Thick slices of volumes."""

    kind = "volumes"
    baseline = "cubic B-spline"

    def split(self, recipe: Recipe, kept: Sequence[Path] | None) -> DataSplit:
        return volumes.split(recipe.data, recipe.degrade_crop, recipe.seed, kept)

    def crops(self, recipe: Recipe, files: DataSplit) -> Crops:
        return slices.SliceCrops(files.train, recipe.data, recipe.degrade_crop, recipe.seed)

    def apply(self, recipe: Recipe, high: Tensor, rng: np.random.Generator) -> Tensor:
        settings: Any = recipe.thick_slices
        low = thick_slices.apply(high, thick_slices.draw(settings, rng, len(high), high.shape[-1]))
        return low if recipe.generator.architecture.condition_maps else low[:, :1]

    def validation_samples(self, paths: Sequence[Path], recipe: Recipe) -> list[ValidationSample]:
        maps = recipe.generator.architecture.condition_maps > 0
        return [sample for path in paths for sample in validation.slices_of(path, recipe.protocol.factors, maps)]

    def describe(self, recipe: Recipe) -> str:
        factors = ", ".join(f"{factor:g}" for factor in recipe.protocol.factors)
        every = f"every {validation.EVERY}th slice of the middle half, perpendicular to the second axis"
        return f"mean downsampling of the third axis by {factors}; {every}, 8 bits"


def strategy_of(recipe: Recipe) -> DegradationStrategy:
    """How the recipe's degradation trains and validates."""
    return _strategy(recipe.degradation.strategy)


@cache
def _strategy(reference: str) -> DegradationStrategy:
    strategy: DegradationStrategy = resolve(reference)()
    return strategy


def _unit(path: Path, recipe: Recipe) -> Array:
    return image_io.read_as_shown(path, recipe.data.bits).to_unit().clip(0, 1)


def _each(high: Tensor, reduced: Any) -> Tensor:
    import torch

    lows = [reduced(image) for image in high.cpu().numpy().transpose(0, 2, 3, 1)]
    tensors = [torch.from_numpy(np.ascontiguousarray(low.transpose(2, 0, 1), np.float32)) for low in lows]
    return torch.stack(tensors).to(high.device)
