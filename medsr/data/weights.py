"""How often each file is drawn from, where a recipe says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

import numpy as np

from medsr.core.errors import UsageError


@dataclass(frozen=True)
class WeightedChoice:
    """Draws the index of a file. `bounds`: sums of the weights up to each; empty where all are equally likely.

    Loader processes get it pickled.
    """

    count: int
    bounds: tuple[float, ...] = ()

    def __call__(self, rng: np.random.Generator) -> int:
        """An index below `count`."""
        if not self.bounds:
            return int(rng.integers(self.count))
        return int(np.searchsorted(self.bounds, rng.random() * self.bounds[-1], side="right"))


def weighted_choice(names: Sequence[str], weights: Mapping[str, float]) -> WeightedChoice:
    """Draws one of `names`, in proportion to the weight of the first pattern that fits.

    Names that no pattern fits have weight 1. Without weights each is equally likely. Raises UsageError for a pattern
    that fits no name: it is misspelt, or its files were held out or left out.
    """
    if not weights or not names:
        return WeightedChoice(len(names))
    for pattern in weights:
        if not any(fnmatchcase(name, pattern) for name in names):
            raise UsageError(f"data.weights: no file to train on is called {pattern}")
    each = [next((weight for pattern, weight in weights.items() if fnmatchcase(name, pattern)), 1.0) for name in names]
    return WeightedChoice(len(names), tuple(float(bound) for bound in np.cumsum(each)))
