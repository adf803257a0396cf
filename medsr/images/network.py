"""Super-resolving one image, whatever the model: a network or a baseline."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from medsr.batch.pipeline import consume
from medsr.core.resample import Kernel, resize
from medsr.core.types import Array
from medsr.engines.base import Engine, finite
from medsr.images import background, tiles
from medsr.images.consistency import RECEPTIVE_RADIUS, correct_strips
from medsr.images.reflected import Reflected, Rows
from medsr.images.strength import Strength, blend_with_bicubic
from medsr.images.tile_size import (
    fitting_tile,
    height_of_row,
    is_out_of_memory,
    needs_tile,
    release_memory,
    sees_whole,
    smaller,
)
from medsr.networks.architectures import SIZE_MULTIPLE

OnTile = Callable[[int, int], None]
Store = Callable[[slice, Array], None]
KERNEL = 4
"""Pixels to each side that an interpolation looks at, at most, when it enlarges."""


class Model(Protocol):
    """What super-resolves. `scale`: its own factor; None if it takes any.

    `margin`: pixels of the input around a part that decide its result; None: all of them do.
    """

    @property
    def name(self) -> str: ...
    @property
    def scale(self) -> int | None: ...
    @property
    def margin(self) -> int | None: ...
    def __call__(self, unit: Array, scale: float, on_tile: OnTile | None = None, colour: bool | None = None) -> Array:
        """(H, W, 1 or 3) in [0, 1] to (round(scale H), round(scale W), same channels); values are not clipped.

        `colour`: of a part of an image, whether the whole has colours; None: as `unit` has them.
        """
        ...


@dataclass(frozen=True)
class Interpolation:
    """A baseline: bicubic or Lanczos interpolation, to any factor."""

    name: Kernel
    scale: int | None = None
    margin: int | None = KERNEL

    def __call__(self, unit: Array, scale: float, on_tile: OnTile | None = None, colour: bool | None = None) -> Array:
        result = resize(unit, target_size(unit, scale), self.name)
        if on_tile:
            on_tile(1, 1)
        return result


@dataclass
class Network:
    """A generator. `tile`: side in low-resolution pixels, 0 for one piece, None to fit the memory.

    `most_memory`: bytes that may be taken on a GPU, None for what is free. `consistency`: the input's local means are
    kept (`keep_intensities`); without it the result is as the network made it, the same pixels as RealESRGANer's.
    `reach`: how far the network sees (`engines.reach`): so wide is the seam of tiles, and what lies further inside a
    background of one value stays that value. None: not measured. `used_tile`: with which the last image comes
    out again, bit for bit. `strength`: how much of its change an input gets; it is for consistent results. None: all.
    `used_share`: of the last image.
    """

    name: str
    engine: Engine
    scale: int
    channels: int
    tile: int | None = None
    most_memory: float | None = None
    consistency: bool = True
    reach: int | None = None
    strength: Strength | None = None
    used_tile: int | None = field(default=None, init=False)
    used_share: float | None = field(default=None, init=False)

    def __call__(self, unit: Array, scale: float, on_tile: OnTile | None = None, colour: bool | None = None) -> Array:
        height, width, channels = unit.shape
        own = np.empty((height * self.scale, width * self.scale, channels), np.float32)

        def store(rows: slice, strip: Array) -> None:
            own[rows] = strip

        self.run(lambda rows: unit[rows], unit.shape, store, not is_grey(unit) if colour is None else colour, on_tile)
        return own if scale == self.scale else resize(own, target_size(unit, scale), "lanczos")

    def run(
        self, unit: Rows, shape: tuple[int, ...], store: Store, colour: bool = True, on_tile: OnTile | None = None
    ) -> None:
        """Give the result at the network's own factor to `store(rows, strip)`, one strip after the other.

        `unit`: of the input, which has `shape`. `colour`: whether it has colours. `unit` and `store` may be called in
        another thread. Where memory runs out, strips come again from the top.
        """
        if shape[2] == 3 and not colour:  # three equal channels stay so, which a network of colours does not promise
            self.run(
                lambda rows: unit(rows)[:, :, :1],
                (*shape[:2], 1),
                lambda rows, strip: store(rows, strip.repeat(3, axis=2)),
                on_tile=on_tile,
            )
            return
        self.used_share = (self.strength.of(unit, shape) if self.strength else 1.0) if self.consistency else None
        padded = Reflected(unit, shape, SIZE_MULTIPLE.get(self.scale, 1))
        tile = self.tile
        if tile is None:
            halo = self._seam.halo
            tile = fitting_tile(padded.size, self.engine, self.scale, halo, self.most_memory, self.name)
        while True:
            try:
                self._over_tiles(padded, tile, store, on_tile)
                self.used_tile = tile if tile or self.tile == 0 else max(padded.size)  # 0 would forbid bands
                return
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
                if self.tile is None and sees_whole(self.engine):
                    raise needs_tile(self.name) from error
                tile = smaller(tile or max(padded.size), self.name)
            release_memory()

    @property
    def margin(self) -> int | None:
        if self.tile == 0 or sees_whole(self.engine):
            return None
        return self._seam.halo + (RECEPTIVE_RADIUS if self.consistency else 0) + KERNEL

    @property
    def _seam(self) -> tiles.Seam:
        return tiles.Seam.of_reach(self.reach)

    def _over_tiles(self, padded: Reflected, tile: int, store: Store, on_tile: OnTile | None) -> None:
        """One row of tiles after the other. What follows the network is done while it has the next row."""
        height, width, channels = padded.shape
        lower = height_of_row(tile, width, channels * self.scale**2, self._seam.halo)
        side = tile if tile >= max(padded.size) else lower  # what was one piece stays one
        rows = tiles.spans(padded.size[0], side, padded.multiple, self._seam.halo)

        def computed() -> Iterator[Array]:
            for number, row in enumerate(rows):
                advance = on_tile and partial(_advance, on_tile, number, len(rows))
                yield self._row(padded.rows(row.read), tile, padded.multiple, advance)

        def finish(parts: Iterator[Array]) -> None:
            pieces = tiles.join_tiles(parts, rows, self.scale, self._seam.blend)
            strips = _inside(pieces, height * self.scale, width * self.scale)
            if self.used_share is not None and self.used_share < 1:
                strips = blend_with_bicubic(strips, padded.unit, height, self.used_share)
            start = 0
            for strip in correct_strips(strips, padded.unit, height, self.scale) if self.consistency else strips:
                store(slice(start, start + len(strip)), strip)
                start += len(strip)

        if len(rows) == 1:
            finish(computed())
        else:
            consume(finish, computed())

    def _row(self, block: Array, tile: int, multiple: int, on_tile: OnTile | None) -> Array:
        """A row of tiles; what the background fills is left out, where the network's reach is known."""
        rows, columns, network = slice(0, block.shape[0]), slice(0, block.shape[1]), self._forward
        if self.consistency and self.reach is not None:
            rows, columns = background.picture(block, self.reach, multiple)
            network = self._varied
        picture = block[rows, columns]
        places = tiles.spans(picture.shape[1], tile, multiple, self._seam.halo)
        part = tiles.row(picture, network, places, self.scale, self._seam.blend, on_tile)
        if picture.shape == block.shape:
            return part
        result = block.repeat(self.scale, 0).repeat(self.scale, 1)
        inside = (slice(self.scale * side.start, self.scale * side.stop) for side in (rows, columns))
        result[tuple(inside)] = part
        return result

    def _varied(self, unit: Array) -> Array:
        """A tile; one of a single value stays that value."""
        if np.any(unit != unit[0, 0]):
            return self._forward(unit)
        return unit.repeat(self.scale, 0).repeat(self.scale, 1)

    def _forward(self, unit: Array) -> Array:
        channels = unit.shape[2]
        if channels < self.channels:  # grey through a network of colours
            return self._forward(unit.repeat(self.channels, axis=2)).mean(axis=2, keepdims=True)
        if channels > self.channels:  # each colour through a network of one channel
            return np.concatenate([self._forward(unit[:, :, c : c + 1]) for c in range(channels)], axis=2)
        output = self.engine(unit.transpose(2, 0, 1)[None])[0]
        return finite(output, self.name, self.engine.precision).transpose(1, 2, 0)


def is_grey(unit: NDArray[Any]) -> bool:
    """Whether the channels of every pixel are equal."""
    return all(np.array_equal(unit[:, :, 0], unit[:, :, channel]) for channel in range(1, unit.shape[2]))


def target_size(unit: NDArray[Any], scale: float) -> tuple[int, int]:
    """(height, width) after enlarging by `scale`."""
    return max(1, round(unit.shape[0] * scale)), max(1, round(unit.shape[1] * scale))


def _advance(on_tile: OnTile, row: int, rows: int, done: int, total: int) -> None:
    """Tell of a tile of one of several rows."""
    on_tile(row * total + done, rows * total)


def _inside(pieces: Iterator[Array], height: int, width: int) -> Iterator[Array]:
    """Rows one after the other without what lies beyond the image."""
    for piece in pieces:
        if height > 0:
            yield piece[:height, :width]
        height -= len(piece)
