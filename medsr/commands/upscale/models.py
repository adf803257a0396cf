"""The model of each image of a batch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from medsr.core.devices import shares_memory
from medsr.core.errors import UsageError
from medsr.engines.base import Compute
from medsr.engines.selection import check_device
from medsr.images.network import Model, Network
from medsr.images.strength import Strength
from medsr.io.images.depth import FILES
from medsr.io.images.frames import canonical
from medsr.io.images.image import Image
from medsr.networks.bundled import AUTO, candidates_hash, for_image
from medsr.volumes.models import computed, open_model, take_fp32_share, weights_hash

DEFAULT_SCALE = 2
"""Of baselines, which have no factor of their own."""


@dataclass(frozen=True)
class OpenedModel:
    """A model as it is used for an image. `settings`: everything but the image that decides the result."""

    model: Model
    scale: float
    settings: Mapping[str, Any]

    def after_use(self) -> OpenedModel:
        """With the share of the image that int8 left to fp32, that of the network's change, and the tile: rounding
        differs with it.

        The tile of a GPU is left out: it may be more than another device holds.
        """
        if not isinstance(self.model, Network):
            return self
        used: dict[str, Any] = dict(take_fp32_share(self.model))
        if shares_memory(self.model.engine.device) or self.model.tile is not None:
            used["tile"] = self.model.used_tile
        used["strength"] = self.model.used_share
        return replace(self, settings=dict(self.settings) | used)


class Models:
    """The model of each image of a batch: the one that was asked for, or of the bundled ones the one that fits.

    `settings`: everything but the images that decides the results. `assumed_bits`: of 16-bit files that do not say, by
    series. `opener`: as `open_model`. `frames`: of files that hold several. `keep_metadata`: as `io.image.write`.
    `precisions`: of single models, in place of `compute`'s. `strength`: the share of a network's change; None: by how
    sharp an image is.
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
        precisions: Mapping[str, str] = {},
        strength: float | None = None,
    ) -> None:
        check_strength(strength, consistency)
        self.model, self.compute, self.tile, self.outscale, self.bits = model, compute, tile, outscale, bits
        self.consistency, self.assumed_bits = consistency, assumed_bits
        self.frames = None if frames is None else canonical(frames)
        self.keep_metadata = keep_metadata
        self.opener, self.precisions, self.strength = opener, precisions, strength
        self.opened: dict[str, OpenedModel] = {}
        if model == AUTO:
            check_device(compute.device)  # what cannot be is said before anything is begun
            options: tuple[Any, ...] = (compute.engine, compute.precision, compute.compiled, outscale, bits)
            options += (consistency, strength, keep_metadata)
            self.settings: Mapping[str, Any] = {"model": AUTO, "weights": candidates_hash(), "asked": options}
            if precisions:
                self.settings = dict(self.settings) | {"precisions": dict(precisions)}
        else:
            self.settings = self._open(model).settings
        if bits_of_files := assumed_bits.get(FILES):  # else results of other files would count as done
            self.settings = dict(self.settings) | {"assumed_bits": bits_of_files}
        if self.frames:
            self.settings = dict(self.settings) | {"frames": self.frames}

    def of(self, image: Image) -> tuple[OpenedModel, str]:
        """What to use for an image, and what to say about the choice. Raises as `open_model`."""
        if self.model != AUTO:
            return self._for(image, self.model), ""
        chosen = for_image(image, self.outscale or DEFAULT_SCALE)
        return self._for(image, chosen.model), str(chosen)

    def note_on_strength(self, opened: OpenedModel) -> str:
        """What to say about the share of a network's change that a result took, by `OpenedModel.after_use`."""
        if not isinstance(opened.model, Network):
            return "" if self.strength is None else "the strength is not used: interpolation has no network"
        share = opened.settings.get("strength")
        if self.strength is not None or not isinstance(share, float) or round(share, 2) >= 1:
            return ""
        return f"the image is sharp already: {share:.0%} of the network's change is applied"

    def _for(self, image: Image, name: str) -> OpenedModel:
        opened = self._open(name)
        if self.frames:
            opened = replace(opened, settings=dict(opened.settings) | {"frames": self.frames})
        if (bits := image.extra.get("assumed_bits")) is None:
            return opened
        return replace(opened, settings=dict(opened.settings) | {"assumed_bits": bits})

    def _open(self, name: str) -> OpenedModel:
        if name not in self.opened:
            compute = replace(self.compute, precision=self.precisions.get(name, self.compute.precision))
            network = self.opener(name, compute, self.tile, self.consistency)
            scale = self.outscale or network.scale or DEFAULT_SCALE
            settings: dict[str, Any] = {"model": name, "weights": weights_hash(name), "scale": scale, "bits": self.bits}
            settings["keep_metadata"] = self.keep_metadata
            if self.strength is not None and self.model != AUTO and not isinstance(network, Network):
                raise UsageError(f"`strength`: is for networks; {name} is an interpolation")
            if isinstance(network, Network):
                if self.strength is not None:
                    network = replace(network, strength=Strength.always(self.strength))
                settings |= {"consistency": network.consistency, "strength": network.strength}
            self.opened[name] = OpenedModel(network, scale, settings | computed(network))
        return self.opened[name]


def check_strength(strength: float | None, consistency: bool) -> None:
    """Raise UsageError for a share that is none, or that nothing takes."""
    if strength is None:
        return
    if not 0 <= strength <= 1:
        raise UsageError(f"`strength={strength:g}`: expected a share from 0 to 1")
    if not consistency:
        raise UsageError("`strength`: needs consistent results; leave `consistency=False` out")
