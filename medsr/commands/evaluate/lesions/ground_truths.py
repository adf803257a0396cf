"""Ground truth of each kind, and its low resolution: the other benchmarks' own ways, for images that were changed."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from medsr.commands.evaluate.benchmarks import entry_of
from medsr.commands.evaluate.case import Case, Item, Mask, Runner
from medsr.commands.evaluate.images import green
from medsr.commands.evaluate.lesions.head_scans import HeadScans
from medsr.commands.evaluate.lesions.photographs import Photographs
from medsr.commands.evaluate.lesions.radiographs import STEPS, Radiographs
from medsr.core.errors import UsageError
from medsr.core.types import Array, Notify
from medsr.engines.base import Compute
from medsr.lesions.kinds import UNITS, Kind
from medsr.metrics.psnr_ssim import eight_bit


@dataclass(frozen=True)
class Choices:
    """How a kind is measured; None: its own way. `pixel_mm`: of a radiograph, at the chest."""

    scale: float | None = None
    blur_sigma: float | None = None
    pixel_mm: float | None = None
    bits: int | None = None
    device: str = "cpu"


class _Bench(Protocol):
    """What is used of a benchmark."""

    @property
    def scale(self) -> float: ...
    @property
    def baseline(self) -> str: ...
    def items(self) -> Sequence[Item]: ...
    def settle(self, items: Sequence[Item], notify: Notify) -> None: ...
    def load(self, item: Item) -> Case: ...
    def degraded(self, ground_truth: Array) -> Array: ...
    def open(self, model: str, compute: Compute, tile: int | None) -> Runner: ...
    def protocol(self) -> dict[str, Any]: ...


@dataclass(frozen=True)
class GroundTruths:
    """All of one kind in a folder. `unit`: of sizes; `per`: what finds are counted in; `suits`: what models are for."""

    kind: Kind
    bench: _Bench
    unit: str
    per: str
    suits: str

    def step(self, case: Case) -> float:
        """In `unit`, from one pixel or voxel to the next."""
        return float(case.extra)

    def extent(self, where: Mask, step: float) -> float:
        """Of a region of a ground truth, in `per`: pixels of images count alike, whatever they hold."""
        return float(where.sum()) * (step**3 / 100_000 if self.kind == "mri" else 1e-6)

    def with_truth(self, case: Case, truth: Array) -> Case:
        """The case of a ground truth that was changed, as a file would hold it."""
        truth = truth if self.kind == "mri" else eight_bit(truth)
        return replace(case, ground_truth=truth, low_resolution=self.bench.degraded(truth))

    def judged(self, array: Array) -> Array:
        """What observers look at, (H, W) or (I, J, K): green of colour."""
        return array if self.kind == "mri" else green(array)[:, :, 0]

    def protocol(self, subjects: Collection[str]) -> dict[str, Any]:
        """What of the benchmark's protocol holds here too. `subjects`: those measured."""
        kept = ("images", "ground_truth", "scale", "low_resolution", "blur_sigma", "output", "bits")
        about: Mapping[str, Any] = self.bench.protocol()
        lines = {name: about[name] for name in kept if name in about}
        if isinstance(self.bench, Radiographs):
            lines["pixel_mm"] = self.bench.pixel_sizes(subjects)
        return {"kind": self.kind, **lines}


DEFAULT_SCALES: Mapping[Kind, float] = {"mri": 4, "cxr": 4, "fundus": 2}


def ground_truths(kind: Kind, data: Path, choices: Choices) -> GroundTruths:
    """Those in `data`. Raises UsageError for what cannot be measured."""
    _check(kind, choices)
    scale = DEFAULT_SCALES[kind] if choices.scale is None else choices.scale
    if kind == "mri":
        volumes = HeadScans(data, entry_of("volume").check_scale(scale))
        return GroundTruths(kind, volumes, UNITS[kind], "100 ml", "mri")
    options: dict[str, Any] = {"bits": choices.bits, "device": choices.device}
    if choices.blur_sigma is not None:
        options["blur_sigma"] = choices.blur_sigma
    factor = int(replace(entry_of("folder"), name=kind).check_scale(scale))
    if kind == "cxr":
        radiographs = Radiographs(data, factor, pixel_mm=choices.pixel_mm, **options)
        return GroundTruths(kind, radiographs, UNITS[kind], "megapixel", "chest")
    return GroundTruths(kind, Photographs(data, factor, **options), UNITS[kind], "megapixel", "fundus")


def _check(kind: Kind, choices: Choices) -> None:
    """Raise UsageError for what does not belong to the kind."""
    for name in ("blur_sigma", "bits") if kind == "mri" else ():
        if getattr(choices, name) is not None:
            raise UsageError(f"`{name}`: scans have none; leave it out with `kind=mri`")
    if choices.pixel_mm is None:
        return
    if kind != "cxr":
        raise UsageError(f"`pixel_mm`: of radiographs only; leave it out with `kind={kind}`")
    if not STEPS[0] <= choices.pixel_mm <= STEPS[1]:
        raise UsageError(f"`pixel_mm={choices.pixel_mm:g}`: expected millimetres from {STEPS[0]:g} to {STEPS[1]:g}")
