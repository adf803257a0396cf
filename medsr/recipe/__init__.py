"""Recipes: what they may say and reading them. Imports nothing heavy: a typo is refused before torch is loaded."""

from medsr.recipe.data import Data, Jitter, MultiScale
from medsr.recipe.degradation import Bicubic, HighOrder, KernelMix, Order, SecondOrder, SliceProfile, Unknown
from medsr.recipe.losses import L1, Gan, Losses, Perceptual
from medsr.recipe.networks import Refiner, Rrdb, UNetSN
from medsr.recipe.reading import check, find, load
from medsr.recipe.schema import Protocol, Recipe, StartFrom
from medsr.recipe.training import Guard, Optimizer

__all__ = [
    "L1",
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
    "Perceptual",
    "Protocol",
    "Recipe",
    "Refiner",
    "Rrdb",
    "SecondOrder",
    "SliceProfile",
    "StartFrom",
    "UNetSN",
    "Unknown",
    "check",
    "find",
    "load",
]
