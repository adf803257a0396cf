"""Super-resolving one image, whatever the model: a network or a baseline."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from medsr.core import memory
from medsr.core.devices import shares_memory
from medsr.core.errors import MemoryExhaustedError
from medsr.core.resample import Kernel, resize
from medsr.core.types import Array
from medsr.engines.base import Engine, finite
from medsr.images import background, tiles
from medsr.images.consistency import RECEPTIVE_RADIUS, keep_intensities
from medsr.networks.architectures import SIZE_MULTIPLE

OnTile = Callable[[int, int], None]
SMALLEST_TILE = 32
KERNEL = 4
"""Pixels to each side that an interpolation looks at, at most, when it enlarges."""
PRE_PAD = 10
"""Pixels reflected at the right and lower border before the network sees the image, as in RealESRGANer."""


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
    out again, bit for bit.
    """

    name: str
    engine: Engine
    scale: int
    channels: int
    tile: int | None = None
    most_memory: float | None = None
    consistency: bool = True
    reach: int | None = None
    used_tile: int | None = field(default=None, init=False)

    def __call__(self, unit: Array, scale: float, on_tile: OnTile | None = None, colour: bool | None = None) -> Array:
        grey = unit.shape[2] == 1
        colour = not is_grey(unit) if colour is None else colour
        if not grey and not colour:  # three equal channels stay so, which a network of colours does not promise
            return np.repeat(self(unit[:, :, :1], scale, on_tile), unit.shape[2], axis=2)
        if self.channels == 1 and not grey:  # each colour through the one-channel network
            planes = [self(unit[:, :, c : c + 1], scale, on_tile) for c in range(unit.shape[2])]
            return np.concatenate(planes, axis=2)
        inputs = np.repeat(unit, 3, axis=2) if grey and self.channels == 3 else unit
        out = self._tiled(inputs, on_tile)
        if self.consistency:
            keep_intensities(out, inputs, self.scale)
        out = out.mean(axis=2, keepdims=True) if grey else out
        return out if scale == self.scale else resize(out, target_size(unit, scale), "lanczos")

    def _tiled(self, unit: Array, on_tile: OnTile | None) -> Array:
        height, width = unit.shape[:2]
        alignment = SIZE_MULTIPLE.get(self.scale, 1)
        # Twice, as RealESRGANer does: its border, then what makes the size fit the network.
        padded = _reflect(unit, height + PRE_PAD, width + PRE_PAD)
        padded = _reflect(padded, _to(padded.shape[0], alignment), _to(padded.shape[1], alignment))
        tile = self._tile_for(padded.shape[0], padded.shape[1]) if self.tile is None else self.tile
        while True:
            try:
                out = self._over_tiles(padded, tile, alignment, on_tile)
                self.used_tile = tile if tile or self.tile == 0 else max(padded.shape[:2])  # 0 would forbid bands
                return out[: height * self.scale, : width * self.scale]
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
                if self.tile is None and self._whole:
                    raise self._needs_tile() from error
                tile = _smaller(tile or max(padded.shape[:2]), self.name)
            release_memory()

    @property
    def margin(self) -> int | None:
        if self._whole or self.tile == 0:
            return None
        return self._seam.halo + (RECEPTIVE_RADIUS if self.consistency else 0) + KERNEL

    @property
    def _seam(self) -> tiles.Seam:
        return tiles.Seam.of_reach(self.reach)

    def _over_tiles(self, unit: Array, tile: int, alignment: int, on_tile: OnTile | None) -> Array:
        """The image in tiles; what the background fills is left out, where the network's reach is known."""
        if not self.consistency or self.reach is None:
            return tiles.run(unit, self._forward, self.scale, tile, alignment, on_tile, self._seam)
        rows, columns = background.picture(unit, self.reach, alignment)
        part = tiles.run(unit[rows, columns], self._varied, self.scale, tile, alignment, on_tile, self._seam)
        if part.shape[:2] == (unit.shape[0] * self.scale, unit.shape[1] * self.scale):
            return part
        result = unit.repeat(self.scale, 0).repeat(self.scale, 1)
        result[
            rows.start * self.scale : rows.stop * self.scale, columns.start * self.scale : columns.stop * self.scale
        ] = part
        return result

    def _varied(self, unit: Array) -> Array:
        """A tile; one of a single value stays that value."""
        if np.any(unit != unit[0, 0]):
            return self._forward(unit)
        return unit.repeat(self.scale, 0).repeat(self.scale, 1)

    def _forward(self, unit: Array) -> Array:
        output = self.engine(unit.transpose(2, 0, 1)[None])[0]
        return finite(output, self.name, self.engine.precision).transpose(1, 2, 0)

    @property
    def _whole(self) -> bool:
        return bool(getattr(self.engine, "whole_images", False))

    def _needs_tile(self) -> MemoryExhaustedError:
        return MemoryExhaustedError(
            f"{self.name}: is made to see an image whole, which the free memory does not hold; set the tile yourself "
            "(`tile=512`), and compare the edges of tiles"
        )

    def _tile_for(self, height: int, width: int) -> int:
        """The whole image where half of the free memory holds it, else the tile that fits there.

        Always the whole image where the network is made for that. Raises MemoryExhaustedError where it does not fit.
        """
        halved = self.engine.name == "torch" and self.engine.precision in ("fp16", "bf16")
        size = 2 if halved else 4  # OpenVINO's bf16 leaves the last layers in fp32
        per_pixel = 5 * self.engine.features * self.scale**2 * size  # the last layers' maps dominate
        free = _free_memory(self.engine.device)
        shared = shares_memory(self.engine.device)
        most = free if shared else self.most_memory or free
        fits = (min(free / 2, most) / per_pixel) ** 0.5
        if self._whole:  # maps of many features are at the input's size there
            smallest = 5 * size * (self.engine.features + 64 * self.scale**2)
            if height * width * smallest > most:
                raise self._needs_tile()
            return 0
        largest = 512 if shared else 2048
        if max(height, width) <= min(fits, largest):
            return 0
        return int(max(SMALLEST_TILE, min(fits - 2 * self._seam.halo, largest)))


def is_grey(unit: NDArray[Any]) -> bool:
    """Whether the channels of every pixel are equal."""
    return all(np.array_equal(unit[:, :, 0], unit[:, :, channel]) for channel in range(1, unit.shape[2]))


def target_size(unit: NDArray[Any], scale: float) -> tuple[int, int]:
    """(height, width) after enlarging by `scale`."""
    return max(1, round(unit.shape[0] * scale)), max(1, round(unit.shape[1] * scale))


def _reflect(unit: Array, height: int, width: int) -> Array:
    """Reflect at the lower and right border, out to that size; a single row or column is repeated."""
    if unit.shape[:2] == (height, width):
        return unit
    missing = ((0, height - unit.shape[0]), (0, width - unit.shape[1]), (0, 0))
    return np.pad(unit, missing, "reflect" if min(unit.shape[:2]) > 1 else "edge")


def _to(length: int, multiple: int) -> int:
    return -(-length // multiple) * multiple


def _smaller(tile: int, name: str) -> int:
    if tile <= SMALLEST_TILE:
        raise MemoryExhaustedError(
            f"{name}: out of memory even with {SMALLEST_TILE}-pixel tiles; free memory or use `device=cpu`"
        )
    return max(SMALLEST_TILE, tile // 2)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an exception of torch or NumPy means that memory ran out."""
    text = str(error).lower()
    signs = ("out of memory", "can't allocate memory", "bad_alloc", "failed to allocate")
    return isinstance(error, MemoryError) or any(sign in text for sign in signs)


def release_memory() -> None:
    """Give back what nothing refers to any more."""
    gc.collect()
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        torch.cuda.empty_cache()


def _free_memory(device: str) -> float:
    if device.startswith("cuda"):
        import torch

        return float(torch.cuda.mem_get_info(device)[0])
    return memory.share()
