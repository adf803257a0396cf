"""How often each file is drawn from, where a recipe says."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from fnmatch import fnmatchcase

import numpy as np

from medsr.core.errors import UsageError


def weighted_choice(names: Sequence[str], weights: Mapping[str, float]) -> Callable[[np.random.Generator], int]:
    """A function that draws the index of one of `names`, in proportion to the weight of the first pattern that fits.

    Names that no pattern fits have weight 1. Without weights each is equally likely. Raises UsageError for a pattern
    that fits no name: it is misspelt, or its files were held out or left out.
    """
    if not weights or not names:
        return lambda rng: int(rng.integers(len(names)))
    for pattern in weights:
        if not any(fnmatchcase(name, pattern) for name in names):
            raise UsageError(f"data.weights: no file to train on is called {pattern}")
    each = [next((weight for pattern, weight in weights.items() if fnmatchcase(name, pattern)), 1.0) for name in names]
    bounds = np.cumsum(each)
    return lambda rng: int(np.searchsorted(bounds, rng.random() * bounds[-1], side="right"))
