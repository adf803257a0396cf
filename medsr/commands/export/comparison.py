"""Fewer bits beside fp32, on the images of several folders."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from medsr.commands.export.cost import Cost
from medsr.commands.export.pairs import Samples
from medsr.core.types import Array, Notify
from medsr.engines.openvino_engine import OpenvinoEngine
from medsr.images.network import Network
from medsr.networks.architectures import kind_of
from medsr.volumes.slice_models import SliceRefiner, slice_refiner

if TYPE_CHECKING:
    from medsr.training.validation import ValidationSample


@dataclass(frozen=True)
class Comparison:
    """A network's `card`, samples from `folders`, and what it makes of those to measure on in fp32 (`reference`)."""

    card: dict[str, Any]
    folders: Sequence[Path]
    samples: Samples
    reference: list[list[Array]]

    @classmethod
    def of(
        cls, model: Any, card: dict[str, Any], folders: Sequence[Path], bits: int | None, notify: Notify
    ) -> Comparison:
        """`model`: OpenVINO's, in fp32. `bits`: see `Samples`. Raises InputError as `pairs.pairs_in`."""
        samples = Samples.of(card, folders, bits, notify)
        engine = OpenvinoEngine(model, card)
        return cls(card, folders, samples, [_results_of(engine, card, pairs) for pairs in samples.tests])

    def costs(self, engine: OpenvinoEngine) -> list[Cost]:
        """What the network costs in another precision, for each folder."""
        return [
            Cost.of(_results_of(engine, self.card, pairs), plain, pairs)
            for pairs, plain in zip(self.samples.tests, self.reference, strict=True)
        ]


def _results_of(engine: OpenvinoEngine, card: dict[str, Any], pairs: list[ValidationSample]) -> list[Array]:
    """What a model makes of every low resolution, (H, W, C) in [0, 1]."""
    spec = card["spec"]
    network: Network | SliceRefiner
    if kind_of(spec["architecture"]) == "slice":
        network = slice_refiner(engine.precision, engine, spec["architecture"], spec["hyperparameters"])
    else:
        network = Network(engine.precision, engine, spec["scale"], spec["channels"])
    return [network(sample.low_resolution, spec["scale"]) for sample in pairs]
