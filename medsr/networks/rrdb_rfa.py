"""RRDB with residual feature aggregation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from medsr.networks import upstream

if TYPE_CHECKING:
    from torch import Tensor, nn


def rrdb_aggregated(scale: int, channels: int = 3, features: int = 64, blocks: int = 23, growth: int = 32) -> nn.Module:
    """ESRGAN-R (P2): in every block what its three dense blocks add goes straight to the end, where 1 x 1 fuses it.

    Residual feature aggregation (Liu et al. 2020) in RRDBNet; all else is RRDBNet's, its names too.
    """
    import torch
    from torch import nn

    class Aggregated(nn.Module):
        def __init__(self, dense: tuple[nn.Module, nn.Module, nn.Module]) -> None:
            super().__init__()
            self.rdb1, self.rdb2, self.rdb3 = dense
            self.fusion = nn.Conv2d(3 * features, features, 1)

        def forward(self, x: Tensor) -> Tensor:
            made, added = x, []
            for block in (self.rdb1, self.rdb2, self.rdb3):
                after = block(made)
                added.append(after - made)
                made = after
            return x + 0.2 * self.fusion(torch.cat(added, 1))  # type: ignore[no-any-return]

    net: nn.Module = upstream.rrdbnet()(channels, channels, scale, features, blocks, growth)
    net.body = nn.Sequential(*(Aggregated((one.rdb1, one.rdb2, one.rdb3)) for one in net.body))  # type: ignore[union-attr]
    return net
