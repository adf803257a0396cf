"""SRResNet, and the residual-in-residual network that grew out of it."""

from __future__ import annotations

from torch import Tensor, nn


def srresnet(scale: int, channels: int = 3, features: int = 64, blocks: int = 16) -> nn.Module:
    """SRResNet (Ledig et al. 2017, P3): (B, channels, H, W) in [0, 1] to (B, channels, scale H, scale W).

    Every PReLU has one parameter. The defaults have 1,401,749 (x2), 1,586,389 (x3) and 1,549,462 (x4) parameters.
    """
    body = nn.Sequential(*(_unit(features, slopes=1) for _ in range(blocks)))
    return SubPixelNet(body, scale, channels, features, slopes=1, centred=False)


def residual_in_residual(
    scale: int, channels: int = 3, features: int = 64, blocks: int = 6, units: int = 3
) -> nn.Module:
    """P5's generator: `blocks` of `units` residual blocks, skips inside and across; PReLU with a parameter a channel.

    [0, 1] is brought to [-1, 1] at the entry and back at the exit. The defaults have 1,551,235 (x2) and 1,699,011 (x4)
    parameters.
    """

    def block() -> nn.Module:
        return Residual(nn.Sequential(*(_unit(features, slopes=features) for _ in range(units))))

    body = nn.Sequential(*(block() for _ in range(blocks)))
    return SubPixelNet(body, scale, channels, features, slopes=features, centred=True)


def steps_to(scale: int) -> list[int]:
    """The factors of the sub-pixel convolutions that lead to a scale. Raises ValueError for one there is no way to."""
    steps_by_scale = {1: [], 2: [2], 3: [3], 4: [2, 2], 8: [2, 2, 2]}
    if scale not in steps_by_scale:
        raise ValueError(f"scale {scale}: expected one of {', '.join(map(str, steps_by_scale))}")
    return steps_by_scale[scale]


def _conv_norm(features: int) -> tuple[nn.Module, nn.Module]:
    return nn.Conv2d(features, features, 3, padding=1), nn.BatchNorm2d(features)


def _unit(features: int, slopes: int) -> nn.Module:
    return Residual(nn.Sequential(*_conv_norm(features), nn.PReLU(slopes), *_conv_norm(features)))


class Residual(nn.Module):
    """What goes in, and what `inner` adds to it."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: Tensor) -> Tensor:
        return x + self.inner(x)  # type: ignore[no-any-return]


class SubPixelNet(nn.Module):
    """9 x 9 convolutions at both ends, a skip over the body, sub-pixel convolutions before the last."""

    def __init__(
        self, body: nn.Module, scale: int, channels: int, features: int, *, slopes: int, centred: bool
    ) -> None:
        up: list[nn.Module] = []
        for step in steps_to(scale):
            up += [nn.Conv2d(features, features * step * step, 3, padding=1), nn.PixelShuffle(step), nn.PReLU(slopes)]
        super().__init__()
        self.centred = centred
        self.conv_first = nn.Sequential(nn.Conv2d(channels, features, 9, padding=4), nn.PReLU(slopes))
        self.body = body
        self.conv_body = nn.Sequential(*_conv_norm(features))
        self.up = nn.Sequential(*up)
        self.conv_last = nn.Conv2d(features, channels, 9, padding=4)

    def forward(self, x: Tensor) -> Tensor:
        first = self.conv_first(2 * x - 1 if self.centred else x)
        last = self.conv_last(self.up(first + self.conv_body(self.body(first))))
        return (last + 1) / 2 if self.centred else last  # type: ignore[no-any-return]
