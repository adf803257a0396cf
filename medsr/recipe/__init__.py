"""Recipes: what they may say and reading them. Imports nothing heavy: a typo is refused before torch is loaded."""

from medsr.recipe.reading import find, load
from medsr.recipe.schema import (
    L1,
    Data,
    Gan,
    HighOrder,
    Jitter,
    KernelMix,
    Losses,
    MultiScale,
    Optimizer,
    Order,
    Perceptual,
    Protocol,
    Recipe,
    Rrdb,
    SecondOrder,
    StartFrom,
    UNetSN,
)

__all__ = [
    "L1",
    "Data",
    "Gan",
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
    "Rrdb",
    "SecondOrder",
    "StartFrom",
    "UNetSN",
    "find",
    "load",
]
