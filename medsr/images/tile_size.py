"""How large a tile may be, so that memory holds what a network makes of it; and what to do where it does not."""

from __future__ import annotations

import gc
import sys

from medsr.core import memory
from medsr.core.devices import shares_memory
from medsr.core.errors import MemoryExhaustedError
from medsr.engines.base import Engine

SMALLEST_TILE = 32
LARGEST_TILE, LARGEST_ON_GPU = 512, 2048
MOST_IN_ROW = 64_000_000
"""Values of a row of tiles, at the size of the result. Three rows are in memory at once."""
LOWEST = 256
"""Pixels of a row of tiles, at least: with fewer, more of them would be computed twice."""


def fitting_tile(
    size: tuple[int, int], engine: Engine, scale: int, halo: int, most_memory: float | None, name: str
) -> int:
    """The whole image (0) of `size` (height, width) where half of the free memory holds it, else the tile that fits.

    Always the whole image where the network is made for that. `most_memory`: of a GPU, in bytes. Raises
    MemoryExhaustedError where it does not fit.
    """
    halved = engine.name == "torch" and engine.precision in ("fp16", "bf16")
    bytes_each = 2 if halved else 4  # OpenVINO's bf16 leaves the last layers in fp32
    per_pixel = 5 * engine.features * scale**2 * bytes_each  # the last layers' maps dominate
    free = _free_memory(engine.device)
    shared = shares_memory(engine.device)
    most = free if shared else most_memory or free
    fits = (min(free / 2, most) / per_pixel) ** 0.5
    if sees_whole(engine):  # maps of many features are at the input's size there
        smallest = 5 * bytes_each * (engine.features + 64 * scale**2)
        if size[0] * size[1] * smallest > most:
            raise needs_tile(name)
        return 0
    largest = LARGEST_TILE if shared else LARGEST_ON_GPU
    if max(size) <= min(fits, largest):
        return 0
    return int(max(SMALLEST_TILE, min(fits - 2 * halo, largest)))


def height_of_row(tile: int, width: int, values: int, halo: int) -> int:
    """Of a row of tiles over `width` pixels, each of which becomes so many `values`: lower where the image is wide."""
    return min(tile, max(LOWEST, MOST_IN_ROW // (width * values) - 2 * halo))


def sees_whole(engine: Engine) -> bool:
    """Whether the network is made to see an image in one piece."""
    return bool(getattr(engine, "whole_images", False))


def needs_tile(name: str) -> MemoryExhaustedError:
    """What is said where memory does not hold what such a network makes."""
    return MemoryExhaustedError(
        f"{name}: is made to see an image whole, which the free memory does not hold; set the tile yourself "
        "(`tile=512`), and compare the edges of tiles"
    )


def smaller(tile: int, name: str) -> int:
    """What to try where memory does not hold a tile. Raises MemoryExhaustedError where it was the smallest."""
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
