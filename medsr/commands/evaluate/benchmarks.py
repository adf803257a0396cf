"""The registry of benchmarks: one entry says everything about a protocol of `medsr evaluate`. Imports nothing heavy.

To add one, write its class in a file of its own and add an entry here: the command line and its help, the checks of
options, tables, the report page and the documentation read it from the entry.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from medsr.core.errors import UsageError
from medsr.core.suggest import did_you_mean
from medsr.metrics import names
from medsr.metrics.names import Metric

if TYPE_CHECKING:
    from medsr.commands.evaluate.case import Benchmark

LARGEST_SCALE = 16
STACKS = 2, 3
LESIONS = "lesions"
"""What is measured in another way, by a function of its own, though the command line has it among benchmarks."""


@dataclass(frozen=True)
class BenchmarkEntry:
    """A benchmark that `medsr evaluate` may be asked for."""

    name: str
    kind: Literal["image", "volume"]
    """Of images: the builder also gets `device`, `consistency` and `bits`. Of volumes: `method` and `adapt`."""
    builder: str
    """The class, as "module:class". It is called with the folder and the scale; see `kind`, `blur` and `tracks`."""
    data: str
    """What `data` must hold, for the documentation."""
    protocol: str
    """What is done and measured, for the documentation."""
    scales: tuple[int, ...] = ()
    """The whole factors it can measure; empty: any real one above 1, to LARGEST_SCALE."""
    default_scale: float = 2
    blur: bool = False
    """Whether P1's blur is its own: then the builder also gets `blur_sigma`, where it is not the default."""
    tracks: tuple[str, ...] = ()
    """Its ways to low resolution, the default first: then the builder also gets `track`."""
    stacked: str = ""
    """The class in the builder's place where several stacks are made of each scan: it also gets `stacks`."""
    suits: str = ""
    """What bundled models for its images are for, as in `networks/bundled.py`; empty for images of any kind."""
    metrics: Mapping[str, Metric] = field(default_factory=dict)
    """Its own metrics, beside those of `metrics/names.py`."""
    regions: Mapping[str, str] = field(default_factory=dict)
    """Its own regions, in words by the suffix of a metric's key."""

    def build(self, data: Path, scale: float, **options: Any) -> Benchmark:
        """The benchmark on a folder. Raises UsageError."""
        module, name = (self.stacked if "stacks" in options else self.builder).split(":")
        builder: Callable[..., Benchmark] = getattr(import_module(module), name)
        return builder(data, scale, **options)

    def check_stacks(self, stacks: int) -> int:
        """How many. Raises UsageError where it makes none, or not so many."""
        if not self.stacked:
            raise UsageError(f"`stacks`: {self.name} has none; {listing(lambda other: other.stacked)} has")
        if stacks not in STACKS:
            raise UsageError(f"`stacks={stacks}`: expected {' or '.join(map(str, STACKS))}")
        return stacks

    def check_scale(self, scale: float) -> float:
        """The factor, whole where it must be. Raises UsageError for one that it cannot measure."""
        if not self.scales:
            if not 1 < scale <= LARGEST_SCALE:
                expected = f"a through-plane factor above 1, at most {LARGEST_SCALE}"
                raise UsageError(f"`scale={scale:g}`: expected {expected}")
            return scale
        if scale not in self.scales:
            span = f"whole numbers from {self.scales[0]} to {self.scales[-1]}"
            expected = ", ".join(map(str, self.scales)) if len(self.scales) < 5 else span
            raise UsageError(f"`scale={scale:g}`: {self.name} takes {expected}")
        return int(scale)


ENTRIES = (
    BenchmarkEntry(
        "drive",
        "image",
        "medsr.commands.evaluate.drive:Drive",
        "DRIVE as its owner ships it, or prepared",
        "P1: Lanczos to 512x512, bicubic down by `scale` (2), blur of `blur_sigma` (1.0) low-resolution pixels, "
        "8 bits. Measured on green, whole and in the field of view (by the owner's mask; none is guessed); also on Y, "
        "on all channels, and on vessels",
        scales=(2, 4, 8),
        blur=True,
        suits="fundus",
        metrics={
            "vessel_auc": Metric("vessel AUC", 1, 4, "area under the ROC curve of vessel detection"),
            "vessel_sensitivity": Metric("vessel sensitivity", 1, 4, "at 95 % specificity"),
            "thin_vessel_sensitivity": Metric(
                "thin-vessel sensitivity", 1, 4, "vessels up to 3 pixels wide, at 95 % specificity", plotted=True
            ),
        },
        regions={"fov": "in the field of view"},
    ),
    BenchmarkEntry(
        "nih-cxr",
        "image",
        "medsr.commands.evaluate.chest:NihCxr",
        "NIH ChestX-ray14 originals (the official test list where it is there), or prepared",
        "P1: bicubic down by 4, blur, 8 bits. Grey, whole and in the foreground",
        scales=(2, 4, 8),
        default_scale=4,
        blur=True,
        suits="chest",
    ),
    BenchmarkEntry(
        "classic",
        "image",
        "medsr.commands.evaluate.classic:Classic",
        "a folder of ground truth (Set5, Set14, BSD100; of `..._SRF_n_HR`, this factor's)",
        "`scale` 2, 3, 4; `track=bicubic` (MATLAB's) or `unknown` (a fixed blur and shift). On Y, border of "
        "`scale` pixels cropped",
        scales=(2, 3, 4),
        tracks=("bicubic", "unknown"),
    ),
    BenchmarkEntry(
        "volume",
        "volume",
        "medsr.commands.evaluate.volume:VolumeBenchmark",
        "a folder of isotropic volumes",
        "mean downsampling through-plane by `scale` (2, any number); whole and in the foreground; baseline `cubic`. "
        "`planes`, `fuse` and `adapt=[MINUTES]` say how networks are run, as in `medsr volume`. `stacks=3`: three "
        "thick stacks of each scan, with motion, gain and noise, put together; baseline `averaged`",
        stacked="medsr.commands.evaluate.stacks:StackBenchmark",
        suits="mri",
        metrics={
            "registration_error": Metric(
                "registration error (mm)", -1, 3, "mean displacement at the foreground's edge, of all stacks"
            ),
            "registration_worst": Metric("registration error, worst stack (mm)", -1, 3, "the same of the worst stack"),
        },
    ),
    BenchmarkEntry(
        "folder",
        "image",
        "medsr.commands.evaluate.folder:Folder",
        "any folder of ground truth",
        "as `drive`, at the images' own size, on Y (grey as it is)",
        scales=tuple(range(2, LARGEST_SCALE + 1)),
        blur=True,
    ),
)
BENCHMARKS = {entry.name: entry for entry in ENTRIES}
METRICS = names.METRICS | {key: metric for entry in ENTRIES for key, metric in entry.metrics.items()}
REGIONS = names.PLACES | {key: words for entry in ENTRIES for key, words in entry.regions.items()}


def entry_of(name: str) -> BenchmarkEntry:
    """Raises UsageError for an unknown name."""
    if name == LESIONS:
        raise UsageError(f"{LESIONS}: another function measures them, `medsr.evaluate_lesions`")
    if name not in BENCHMARKS:
        names = [*BENCHMARKS, LESIONS]
        raise UsageError(f"{name}: no such benchmark{did_you_mean(name, names)} (there are: {', '.join(names)})")
    return BENCHMARKS[name]


def split(key: str) -> tuple[Metric, tuple[str, ...]]:
    """As `names.split`, the benchmarks' own metrics and regions too. Raises KeyError for another key."""
    return names.split(key, METRICS, REGIONS)


def label(key: str) -> str:
    """As `names.label`, the benchmarks' own metrics and regions too."""
    return names.label(key, METRICS, REGIONS)


def is_plotted(key: str) -> bool:
    """Whether the page draws it: of the benchmark's channel, not of all others too."""
    metric, places = split(key)
    return metric.plotted and not set(places) & {names.PLACES[channel] for channel in names.CHANNELS}


def listing(condition: Callable[[BenchmarkEntry], object] = bool, last: str = "and") -> str:
    """The names of those that a condition holds for, in words: `drive, nih-cxr and folder`."""
    *others, final = [entry.name for entry in ENTRIES if condition(entry)]
    return f"{', '.join(others)} {last} {final}" if others else final
