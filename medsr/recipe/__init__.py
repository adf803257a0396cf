"""Recipes: what they may say and reading them. Imports nothing heavy: a typo is refused before torch is loaded."""

from medsr.recipe.data import Data, Jitter, Lesions, MultiScale
from medsr.recipe.degradation import (
    Bicubic,
    DegradationStage,
    HighOrder,
    KernelMix,
    Pairs,
    ResizeModes,
    SecondDegradationStage,
    SliceProfile,
    Unknown,
)
from medsr.recipe.losses import L1, Gan, Losses, Perceptual
from medsr.recipe.reading import check, find, load
from medsr.recipe.schema import PREVIOUS, Recipe, StartFrom, ValidationProtocol
from medsr.recipe.training import GuardSettings, Optimizer

__all__ = [
    "L1",
    "PREVIOUS",
    "Bicubic",
    "Data",
    "DegradationStage",
    "Gan",
    "GuardSettings",
    "HighOrder",
    "Jitter",
    "KernelMix",
    "Lesions",
    "Losses",
    "MultiScale",
    "Optimizer",
    "Pairs",
    "Perceptual",
    "Recipe",
    "ResizeModes",
    "SecondDegradationStage",
    "SliceProfile",
    "StartFrom",
    "Unknown",
    "ValidationProtocol",
    "check",
    "find",
    "load",
]
