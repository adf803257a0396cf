"""The model of each image of a batch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from medsr.core.devices import choose
from medsr.engines.base import Compute
from medsr.images.network import Model, Network
from medsr.io.images.depth import FILES
from medsr.io.images.frames import canonical
from medsr.io.images.image import Image
from medsr.networks.bundled import AUTO, candidates_hash, for_image
from medsr.volumes.models import computed, open_model, weights_hash

DEFAULT_SCALE = 2
"""Of baselines, which have no factor of their own."""


@dataclass(frozen=True)
class Used:
    """A model as it is used for an image. `known`: everything but the image that decides the result."""

    model: Model
    scale: float
    known: Mapping[str, Any]


class Models:
    """The model of each image of a batch: the one that was asked for, or of the bundled ones the one that fits.

    `known`: everything but the images that decides the results. `assumed_bits`: of 16-bit files that do not say, by
    series. `opener`: as `open_model`. `frames`: of files that hold several. `keep_metadata`: as `io.image.write`.
    Raises UsageError or WeightsError.
    """

    def __init__(
        self,
        model: str,
        compute: Compute,
        tile: int | None = None,
        outscale: float | None = None,
        bits: int | None = None,
        consistency: bool = True,
        opener: Callable[[str, Compute, int | None, bool], Model] = open_model,
        assumed_bits: Mapping[str, int] = {},
        frames: str | None = None,
        keep_metadata: bool = False,
    ) -> None:
        self.model, self.compute, self.tile, self.outscale, self.bits = model, compute, tile, outscale, bits
        self.consistency, self.assumed_bits = consistency, assumed_bits
        self.frames = None if frames is None else canonical(frames)
        self.keep_metadata = keep_metadata
        self.opener = opener
        self.opened: dict[str, Used] = {}
        if model == AUTO:
            choose(compute.device)  # what cannot be is said before anything is begun
            asked = (compute.engine, compute.precision, compute.compiled, outscale, bits, consistency, keep_metadata)
            self.known: Mapping[str, Any] = {"model": AUTO, "weights": candidates_hash(), "asked": asked}
        else:
            self.known = self._open(model).known
        if together := assumed_bits.get(FILES):  # else results of other files would count as done
            self.known = dict(self.known) | {"assumed_bits": together}
        if self.frames:
            self.known = dict(self.known) | {"frames": self.frames}

    def of(self, image: Image) -> tuple[Used, str]:
        """What to use for an image, and what to say about the choice. Raises as `open_model`."""
        if self.model != AUTO:
            return self._for(image, self.model), ""
        chosen = for_image(image, self.outscale or DEFAULT_SCALE)
        return self._for(image, chosen.model), str(chosen)

    def _for(self, image: Image, name: str) -> Used:
        used = self._open(name)
        if self.frames:
            used = replace(used, known=dict(used.known) | {"frames": self.frames})
        if (bits := image.extra.get("assumed_bits")) is None:
            return used
        return replace(used, known=dict(used.known) | {"assumed_bits": bits})

    def _open(self, name: str) -> Used:
        if name not in self.opened:
            network = self.opener(name, self.compute, self.tile, self.consistency)
            scale = self.outscale or network.scale or DEFAULT_SCALE
            known = {"model": name, "weights": weights_hash(name), "scale": scale, "bits": self.bits}
            known["keep_metadata"] = self.keep_metadata
            if isinstance(network, Network):
                known["consistency"] = network.consistency
            self.opened[name] = Used(network, scale, known | computed(network))
        return self.opened[name]
