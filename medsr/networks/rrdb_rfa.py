"""RRDB with residual feature aggregation."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from medsr.networks.rrdb import RRDBNet


def rrdb_aggregated(scale: int, channels: int = 3, features: int = 64, blocks: int = 23, growth: int = 32) -> nn.Module:
    """ESRGAN-R (P2): in every block what its three dense blocks add goes straight to the end, where 1 x 1 fuses it.

    Residual feature aggregation (Liu et al. 2020) in RRDBNet; all else is RRDBNet's, its names too.
    """
    net: Any = RRDBNet(scale, channels, features, blocks, growth)
    net.body = nn.Sequential(*(AggregatedBlock(block, features) for block in net.body))
    return net  # type: ignore[no-any-return]


class AggregatedBlock(nn.Module):
    """The three dense blocks of an RRDB; what each adds is fused by a 1 x 1 convolution."""

    def __init__(self, block: Any, features: int) -> None:
        super().__init__()
        self.rdb1, self.rdb2, self.rdb3 = block.rdb1, block.rdb2, block.rdb3
        self.fusion = nn.Conv2d(3 * features, features, 1)

    def forward(self, x: Tensor) -> Tensor:
        before, residuals = x, []
        for dense in (self.rdb1, self.rdb2, self.rdb3):
            after = dense(before)
            residuals.append(after - before)
            before = after
        return x + 0.2 * self.fusion(torch.cat(residuals, 1))  # type: ignore[no-any-return]
