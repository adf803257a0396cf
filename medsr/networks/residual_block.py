"""EDSR's residual block (Lim et al. 2017), and the quiet start of such blocks, ESRGAN's too."""

from __future__ import annotations

import torch
from torch import Tensor, nn

LOUDNESS = 0.1
"""Of He's initialisation, kept by the convolutions of residual branches (ESRGAN, Wang et al. 2018)."""


class ResidualBlockNoBN(nn.Module):
    """Two 3 x 3 convolutions with ReLU between them, without normalisation, and a skip: (B, `features`, H, W)."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(features, features, 3, padding=1)
        self.conv2 = nn.Conv2d(features, features, 3, padding=1)
        self.relu = nn.ReLU(inplace=True)
        begin_quietly(self.conv1, self.conv2)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv2(self.relu(self.conv1(x)))  # type: ignore[no-any-return]


@torch.no_grad()
def begin_quietly(*convs: nn.Conv2d) -> None:
    """Draw the weights after He et al. (2015), a tenth as large, biases 0: a deep residual network then trains."""
    for conv in convs:
        nn.init.kaiming_normal_(conv.weight)
        conv.weight.mul_(LOUDNESS)
        if conv.bias is not None:
            conv.bias.zero_()
