"""Recipes: what they may say and reading them. Imports nothing heavy: a typo is refused before torch is loaded."""

from medsr.recipe.data import Data, Jitter, MultiScale
from medsr.recipe.degradation import Bicubic, HighOrder, KernelMix, Order, Pairs, SecondOrder, SliceProfile, Unknown
from medsr.recipe.losses import L1, Gan, Losses, Perceptual
from medsr.recipe.reading import check, find, load
from medsr.recipe.schema import PREVIOUS, Protocol, Recipe, StartFrom
from medsr.recipe.training import Guard, Optimizer

__all__ = [
    "L1",
    "PREVIOUS",
    "Bicubic",
    "Data",
    "Gan",
    "Guard",
    "HighOrder",
    "Jitter",
    "KernelMix",
    "Losses",
    "MultiScale",
    "Optimizer",
    "Order",
    "Pairs",
    "Perceptual",
    "Protocol",
    "Recipe",
    "SecondOrder",
    "SliceProfile",
    "StartFrom",
    "Unknown",
    "check",
    "find",
    "load",
]
