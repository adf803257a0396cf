"""Recipes: what they may say and reading them. Imports nothing heavy: a typo is refused before torch is loaded."""

from medsr.recipe.degradation import Bicubic, HighOrder, KernelMix, Order, SecondOrder, SliceProfile, Unknown
from medsr.recipe.reading import check, find, load
from medsr.recipe.schema import (
    L1,
    Data,
    Gan,
    Guard,
    Jitter,
    Losses,
    MultiScale,
    Optimizer,
    Perceptual,
    Protocol,
    Recipe,
    Refiner,
    Rrdb,
    StartFrom,
    UNetSN,
)

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
