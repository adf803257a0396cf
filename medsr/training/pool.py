"""Real-ESRGAN's pool of training pairs: batches mix images degraded at different times."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from torch import Tensor


class PairPool:
    """Holds `size` (ground truth, low resolution) pairs; once full, every batch is swapped for a random one.

    A resize factor is drawn once a batch, so that without a pool all pairs of a batch would share it. Size 0: no pool.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self.pairs: list[tuple[Tensor, Tensor]] = []

    def swap(self, high: Tensor, low: Tensor, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        """Put this batch in; give it back while the pool fills, later a batch drawn from the pool."""
        import torch

        if self.size == 0:
            return high, low
        fresh = list(zip(high.clone(), low.clone(), strict=True))
        if len(self.pairs) < self.size:
            self.pairs += fresh
            return high, low
        indices = rng.choice(self.size, len(fresh), replace=False)
        batch = [self.pairs[index] for index in indices]
        for index, pair in zip(indices, fresh, strict=True):
            self.pairs[index] = pair
        return torch.stack([pair[0] for pair in batch]), torch.stack([pair[1] for pair in batch])

    def state_dict(self) -> dict[str, list[Tensor]]:
        return {"high": [pair[0].cpu() for pair in self.pairs], "low": [pair[1].cpu() for pair in self.pairs]}

    def load_state_dict(self, state: dict[str, list[Tensor]], device: str) -> None:
        pairs = zip(state["high"], state["low"], strict=True)
        self.pairs = [(high.to(device), low.to(device)) for high, low in pairs]
