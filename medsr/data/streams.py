"""Randomness as a function of seed, iteration and purpose."""

from __future__ import annotations

import numpy as np


def stream(seed: int, iteration: int, purpose: int) -> np.random.Generator:
    """The random stream of one purpose in one iteration: a function of its arguments alone.

    So a run that resumes at iteration n draws what a run never interrupted draws there, whatever its workers did.
    """
    return np.random.Generator(np.random.Philox(np.random.SeedSequence([seed, iteration, purpose])))
