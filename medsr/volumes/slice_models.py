"""Networks on stacks of slices."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from medsr.core.devices import shares_memory
from medsr.core.errors import MemoryExhaustedError
from medsr.core.types import Array
from medsr.degradation.thick_slices import factor_maps
from medsr.engines.base import Engine, finite
from medsr.images.network import Network
from medsr.images.tile_size import is_out_of_memory, release_memory
from medsr.networks.architectures import ARCHITECTURES

BORDER = 12
"""Pixels reflected around a slice before a refiner sees it."""
DEVICE_BATCH_BYTES = 1_000_000_000
"""What the feature maps of one batch may take on a GPU."""


class SliceModel(Protocol):
    """What refines slices. `scale`: 1 where it wants them interpolated to their final size before."""

    @property
    def name(self) -> str: ...
    @property
    def scale(self) -> int: ...
    @property
    def receptive_radius(self) -> int | None:
        """Pixels of the result from which on nothing of the input is felt; None: from everywhere."""
        ...

    @property
    def multiple(self) -> int:
        """Pixels in a row that it takes as one: where a slice is cut, the corner is a multiple."""
        ...

    @property
    def engine_name(self) -> str | None:
        """What computes it: `torch` or `openvino`; None without a network."""
        ...

    def batch(self, shape: tuple[int, int]) -> int:
        """How many slices of that shape to give it at once."""
        ...

    def slices(self, stack: Array, factors: tuple[float, float]) -> Array:
        """(N, H, W) in unit values to (N, scale H, scale W). `factors`: how coarse rows and columns were acquired."""
        ...


@dataclass(frozen=True)
class InterpolatedSlices:
    """No network: slices stay as they were interpolated, which is in agreement with what was acquired."""

    name: str = "back-projected"
    scale: int = 1
    receptive_radius: int | None = 0
    multiple: int = 2
    engine_name: str | None = None

    def batch(self, shape: tuple[int, int]) -> int:
        """One: nothing is computed."""
        return 1

    def slices(self, stack: Array, factors: tuple[float, float]) -> Array:
        """(N, H, W), the same."""
        return stack


@dataclass
class SliceRefiner:
    """A refiner, in one piece per slice. `most_memory`: bytes its feature maps may take on a GPU.

    `receptive_radius`: as above. `multiple`: what the sides of its input must be multiples of; it divides BORDER.
    """

    name: str
    engine: Engine
    most_memory: float = DEVICE_BATCH_BYTES
    receptive_radius: int | None = None
    scale: int = 1
    multiple: int = 2

    @property
    def engine_name(self) -> str:
        return self.engine.name

    def batch(self, shape: tuple[int, int]) -> int:
        """One on a CPU, where more take memory and little less time; on a GPU as many as there is room for.

        An Intel GPU shares the CPU's memory.
        """
        if shares_memory(self.engine.device):
            return 1
        bytes_per_slice = (shape[0] + 2 * BORDER) * (shape[1] + 2 * BORDER) * self.engine.features * 4
        return max(1, int(self.most_memory // bytes_per_slice))

    def slices(self, stack: Array, factors: tuple[float, float]) -> Array:
        """(N, H, W) to the same shape."""
        height, width = stack.shape[1:]
        mode = "symmetric" if min(height, width) > BORDER + 1 else "edge"
        padding = ((0, 0), *((BORDER, BORDER + -side % self.multiple) for side in (height, width)))
        padded = np.pad(stack, padding, mode)  # type: ignore[call-overload]
        maps = np.broadcast_to(factor_maps(factors, padded.shape[1:])[None], (len(stack), 2, *padded.shape[1:]))
        try:
            planes = np.concatenate([padded[:, None], maps], axis=1)
            out = finite(self.engine(planes)[:, 0], self.name, self.engine.precision)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            release_memory()
            if len(stack) == 1:
                raise MemoryExhaustedError(
                    f"{self.name}: out of memory on one {height}x{width} slice; free memory or use `device=cpu`"
                ) from error
            half = len(stack) // 2
            return np.concatenate([self.slices(stack[:half], factors), self.slices(stack[half:], factors)])
        return out[:, BORDER : BORDER + height, BORDER : BORDER + width]

    def __call__(self, normalised: Array, scale: float) -> Array:
        """One training pair's low resolution, (H, W, 3): the slice and its factor maps; to (H, W, 1)."""
        rows, columns = (float(value) for value in normalised[0, 0, 1:])
        from medsr.degradation.thick_slices import FACTOR_RANGE

        factors = (1 + rows * FACTOR_RANGE, 1 + columns * FACTOR_RANGE)
        return self.slices(normalised[None, :, :, 0], factors)[0][:, :, None]


def slice_refiner(
    name: str, engine: Engine, architecture: str, sizes: Mapping[str, int], most_memory: float = DEVICE_BATCH_BYTES
) -> SliceRefiner:
    """The refiner that `engine` computes, of that architecture and those sizes."""
    entry = ARCHITECTURES[architecture]
    radius = entry.receptive_radius(sizes) if entry.receptive_radius else None
    return SliceRefiner(name, engine, most_memory, radius, multiple=entry.slice_multiple(sizes))


@dataclass
class SliceUpscaler:
    """Any generator made for images (scale 1, 2, 4), slice by slice; both axes are enlarged."""

    network: Network
    receptive_radius: int | None = None
    multiple: int = 2

    @property
    def name(self) -> str:
        return self.network.name

    @property
    def scale(self) -> int:
        return self.network.scale

    @property
    def engine_name(self) -> str:
        return self.network.engine.name

    def batch(self, shape: tuple[int, int]) -> int:
        """One: the network tiles a slice where the memory asks for it."""
        return 1

    def slices(self, stack: Array, factors: tuple[float, float]) -> Array:
        """(N, H, W) to (N, scale H, scale W)."""
        return np.stack([self.network(pixels[:, :, None], self.network.scale)[:, :, 0] for pixels in stack])
