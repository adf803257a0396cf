"""Ground truth of each kind, and its low resolution: the other benchmarks' own ways, for images that were changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

from medsr.commands.evaluate.benchmarks import entry_of
from medsr.commands.evaluate.case import Case, Item, Runner
from medsr.commands.evaluate.folder import Folder
from medsr.commands.evaluate.images import check_large_enough, green, grey
from medsr.commands.evaluate.volume import VolumeBenchmark
from medsr.core.errors import UsageError
from medsr.core.types import Array, Notify
from medsr.degradation.protocols import crop_to_multiple
from medsr.engines.base import Compute
from medsr.lesions.kinds import UNITS, Kind
from medsr.metrics.psnr_ssim import eight_bit

RADIOGRAPH_STEP = 0.4
"""Millimetres of the chest in a pixel: 410 mm of it in 1024 pixels."""
STEPS = 0.05, 2.0
"""What it may be."""


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


@dataclass
class Radiographs(Folder):
    """A folder of radiographs, measured in grey."""

    name: str = field(default="cxr", init=False)

    def load(self, item: Item) -> Case:
        """8 bits, cut to a multiple of the scale on the right and below."""
        truth = eight_bit(crop_to_multiple(grey(self.read(item.image)), self.scale))
        check_large_enough(truth, item.image)
        return Case(item.id, truth, self.degraded(truth))


@dataclass(frozen=True)
class GroundTruths:
    """All of one kind in a folder. `unit`: of sizes; `per`, `amount`: of finds, and its size in units of that power."""

    kind: Kind
    bench: _Bench
    unit: str
    per: str
    amount: float
    suits: str
    step_mm: float | None
    """Between pixels; None: each ground truth has its own."""

    def step(self, case: Case) -> float:
        """In `unit`, from one pixel or voxel to the next."""
        return float(case.extra) if self.step_mm is None else self.step_mm

    def with_truth(self, case: Case, truth: Array) -> Case:
        """The case of a ground truth that was changed, as a file would hold it."""
        truth = truth if self.kind == "mri" else eight_bit(truth)
        return replace(case, ground_truth=truth, low_resolution=self.bench.degraded(truth))

    def judged(self, array: Array) -> Array:
        """What observers look at, (H, W) or (I, J, K): green of colour."""
        return array if self.kind == "mri" else green(array)[:, :, 0]

    def protocol(self) -> dict[str, Any]:
        """What of the benchmark's protocol holds here too."""
        kept = ("images", "ground_truth", "scale", "low_resolution", "blur_sigma", "output", "bits")
        about: Mapping[str, Any] = self.bench.protocol()
        lines = {name: about[name] for name in kept if name in about}
        if self.kind == "cxr":
            lines["pixel_mm"] = f"{self.step_mm:g} mm of the chest"
        return {"kind": self.kind, **lines}


DEFAULT_SCALES: Mapping[Kind, float] = {"mri": 4, "cxr": 4, "fundus": 2}


def ground_truths(kind: Kind, data: Path, choices: Choices) -> GroundTruths:
    """Those in `data`. Raises UsageError for what cannot be measured."""
    _check(kind, choices)
    scale = DEFAULT_SCALES[kind] if choices.scale is None else choices.scale
    if kind == "mri":
        volumes = VolumeBenchmark(data, entry_of("volume").check_scale(scale))
        return GroundTruths(kind, volumes, UNITS[kind], "100 ml", 100_000, "mri", None)
    options: dict[str, Any] = {"bits": choices.bits, "device": choices.device}
    if choices.blur_sigma is not None:
        options["blur_sigma"] = choices.blur_sigma
    factor = int(replace(entry_of("folder"), name=kind).check_scale(scale))
    if kind == "cxr":
        step = RADIOGRAPH_STEP if choices.pixel_mm is None else choices.pixel_mm
        megapixel = 1e6 * step**2
        return GroundTruths(
            kind, Radiographs(data, factor, **options), UNITS[kind], "megapixel", megapixel, "chest", step
        )
    return GroundTruths(kind, Folder(data, factor, **options), UNITS[kind], "megapixel", 1e6, "fundus", 1.0)


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
