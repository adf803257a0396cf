"""int8 where the input is of the kind it was calibrated for, fp32 elsewhere: beyond its ranges int8 cuts off.

On photographs sharper than any that calibrated, unguarded int8 was wrong by up to a third of full range.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import combinations
from typing import Any

import numpy as np

from medsr.core.types import Array
from medsr.engines.base import Engine, loses_next_to_nothing
from medsr.engines.openvino_engine import OpenvinoEngine

LAGS = (1, 3)
"""Pixels to each side, which a pixel is compared with: how sharp an input is, and how strong its finest detail."""
ROOM = 0.01
"""Of full range: so far beyond what calibrated an input may lie."""
BRIGHTNESS, SIDES = 2, 2 + 4 * len(LAGS)
"""How many numbers of each plane's extent are its brightness, which come first; and how many there are."""
SHARPER = 1.5
"""And so many times as sharp may it be, where int8 differs so much on single pixels that it has to be asked for: there
Real-ESRGAN's own weights erred no more on photographs up to twice as sharp, `medsr-mri` on scans up to 1.2 times."""


def extent(batch: Array, channels: int) -> Array:
    """How far an input (N, C, H, W) goes in brightness, colour and sharpness, each upwards and downwards.

    Of its first `channels` (the others are constant maps) and of the differences between each two of them: the largest
    and smallest value, and second difference along rows and columns.
    """
    return np.array([side for plane in _planes(batch, channels) for side in _extremes(plane)], np.float32)


def _planes(batch: Array, channels: int) -> Iterator[Array]:
    for channel in range(channels):
        yield batch[:, channel]
    for first, second in combinations(range(channels), 2):
        yield batch[:, first] - batch[:, second]


def _extremes(plane: Array) -> Iterator[float]:
    yield float(plane.max())
    yield -float(plane.min())
    for lag in LAGS:
        for along in (plane, plane.transpose(0, 2, 1)):
            if along.shape[1] <= 2 * lag:
                yield from (0.0, 0.0)
                continue
            second = 2 * along[:, lag:-lag] - along[:, : -2 * lag] - along[:, 2 * lag :]
            yield float(second.max())
            yield -float(second.min())


def limits_of(card: dict[str, Any]) -> Array | None:
    """How far an input may go, as the card of a model in int8 says; None where it does not, or is damaged."""
    channels = card["spec"]["channels"]
    try:
        values = np.array(card["calibration"]["extent"], np.float32)
    except (KeyError, TypeError, ValueError):
        return None
    expected = extent(np.zeros((1, channels, 1, 1), np.float32), channels).shape
    if values.shape != expected or not np.isfinite(values).all():
        return None
    if not loses_next_to_nothing(card.get("measured", {})):
        values.reshape(-1, SIDES)[:, BRIGHTNESS:] *= SHARPER
    return values + ROOM


class GuardedEngine:
    """`quantised` for inputs within the extent its card holds, else what `open_plain` opens: the same in fp32."""

    name = "openvino"
    precision = "int8"

    def __init__(self, quantised: OpenvinoEngine, open_plain: Callable[[], Engine]) -> None:
        self.quantised, self.open_plain = quantised, open_plain
        self.device, self.features, self.card = quantised.device, quantised.features, quantised.card
        self.limits = limits_of(self.card)
        self.plain: Engine | None = None
        self._pixels = self._pixels_in_fp32 = 0

    def __call__(self, batch: Array) -> Array:
        pixels = batch.shape[0] * batch.shape[2] * batch.shape[3]
        self._pixels += pixels
        if self.limits is not None and np.all(extent(batch, self.card["spec"]["channels"]) <= self.limits):
            return self.quantised(batch)
        self._pixels_in_fp32 += pixels
        if self.plain is None:
            self.plain = self.open_plain()
        return self.plain(batch)

    def take_fp32_share(self) -> float | None:
        """The share that was computed in fp32 since it was last taken; None where nothing was computed."""
        share = self._pixels_in_fp32 / self._pixels if self._pixels else None
        self._pixels = self._pixels_in_fp32 = 0
        return share
