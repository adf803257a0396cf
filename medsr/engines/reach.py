"""How far a network really sees: from which distance on a pixel of the input no longer changes the result.

The most that layers allow (hundreds of pixels for an RRDB) is never used: what lies far away is weighed by next to
nothing. The measured reach says how much of its surroundings a tile or a part of a slice needs.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from medsr.core.types import Array
from medsr.engines.base import Engine

UNFELT = 1e-5
"""Of full range: a change of the result that is smaller is not felt. It is a tenth of `LARGEST_DIFFERENCE`."""
STEP = 4
"""Pixels: the reach is a multiple, and so fits what folds pixels."""
FURTHEST = 64
MARGIN = 4
"""Pixels more than were measured: images to come are not those of the measurement."""
HEIGHT = 64


def measure_reach(engine: Engine, channels: int, maps: int, scale: int) -> int | None:
    """In pixels of the input, a multiple of `STEP`; None where the network feels more than `FURTHEST`.

    `channels`: of an image, followed by `maps` constant ones. The right half of a probe is exchanged for another, and
    the result compared from the border to the left.
    """
    furthest = 0
    for probe, other in _probes(channels, maps):
        border = FURTHEST + MARGIN
        mixed = np.concatenate([probe[..., :border], other[..., border:]], axis=3)
        changed = np.abs(engine(probe) - engine(mixed)).max(axis=(0, 1, 2))[: border * scale]
        felt = np.flatnonzero(changed > UNFELT)
        if len(felt):
            furthest = max(furthest, border - int(felt[0]) // scale)
    reach = -(-furthest // STEP) * STEP + MARGIN
    return reach if reach <= FURTHEST else None


def _probes(channels: int, maps: int) -> Iterator[tuple[Array, Array]]:
    """Pairs of inputs, (1, channels + maps, HEIGHT, width): smooth, of lines and of noise, each beside its opposite."""
    rng = np.random.default_rng(0)
    width = 2 * (FURTHEST + MARGIN)
    y, x = np.mgrid[:HEIGHT, :width].astype(np.float32)
    smooth = 0.5 + 0.3 * np.sin(x / 19) * np.cos(y / 13)
    lines = np.where(np.sin((x + 0.6 * y) / 2.5) > 0.6, 0.15, 0.75)
    for picture in (smooth, lines, rng.random((HEIGHT, width)), smooth + 0.03 * rng.standard_normal((HEIGHT, width))):
        image = np.repeat(picture[None, None].astype(np.float32), channels, axis=1)
        for level in (0.0, 0.5) if maps else (0.0,):
            constant = np.full((1, maps, HEIGHT, width), level, np.float32)
            probe, noise = (
                np.concatenate([part, constant], axis=1) for part in (image, rng.random(image.shape, np.float32))
            )
            yield probe, noise
            yield probe, np.concatenate([1 - image, constant], axis=1)
