"""What every benchmark is: cases, a way to run a model on one, and how its result is scored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from medsr.core.types import Array, Notify
from medsr.engines.base import Compute

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Item:
    """One ground truth, not read yet. `files`: by role; `image` is the ground truth itself."""

    id: str
    files: Mapping[str, Path] = field(hash=False)

    @property
    def image(self) -> Path:
        """The file of the ground truth."""
        return self.files["image"]


@dataclass(frozen=True, eq=False)
class Case:
    """One ground truth and what was made of it.

    `ground_truth`: (H, W, C) in [0, 1]; `low_resolution`: (h, w, C) in [0, 1], what models get. Volumes are (I, J, K).
    `regions`: name of a region -> (H, W), where a metric also counts. `extra`: what only the benchmark understands.
    """

    id: str
    ground_truth: Array
    low_resolution: Array
    regions: Mapping[str, Mask] = field(default_factory=dict)
    extra: Any = None


class Runner(Protocol):
    """A model opened for a benchmark. `sha256`: of its weights, None where it has none; `note`: what the reader of a
    table should know of it."""

    @property
    def sha256(self) -> str | None: ...
    @property
    def note(self) -> str: ...
    def __call__(self, case: Case) -> Array:
        """A result of the ground truth's size, as the user would get to see it."""
        ...


class Benchmark(Protocol):
    """`name` as on the command line; `baseline`: the model all others are compared with; `scale`: the factor."""

    @property
    def name(self) -> str: ...
    @property
    def baseline(self) -> str: ...
    @property
    def scale(self) -> float: ...
    def items(self) -> Sequence[Item]:
        """Every ground truth there is, in order; raises InputError where the folder is not what it should be."""
        ...

    def customised(self) -> bool:
        """Whether networks are run in another way than by default."""
        ...

    def settle(self, items: Sequence[Item], notify: Notify) -> None:
        """What all cases share and is decided by their files, after `items`."""
        ...

    def calibrate(self, notify: Notify) -> None:
        """What is done once, after `items` and before the first case."""
        ...

    def load(self, item: Item) -> Case:
        """Read one; raises InputError for a damaged file or one that is not what the protocol asks for."""
        ...

    def open(self, model: str, compute: Compute, tile: int | None) -> Runner:
        """Raises UsageError or WeightsError."""
        ...

    def rows(self, model: str, runner: Runner) -> Mapping[str, Runner]:
        """What is measured of an opened model, by the names in the tables; mostly one thing, by the model's own."""
        ...

    def export_inputs(self, case: Case, stem: Path) -> None:
        """Write a case's low resolution for another program, at `stem` and the right suffix."""
        ...

    def is_result(self, path: Path) -> bool:
        """Whether a file may be another program's result, by its name."""
        ...

    def import_results(self, path: Path, case: Case) -> Array:
        """Another program's result as `score` takes it; raises InputError for one of another size or kind."""
        ...

    def score(self, result: Array, case: Case) -> dict[str, float]:
        """Every metric of one result; a metric that does not exist for a case is left out."""
        ...

    def show(self, array: Array, case: Case) -> Array:
        """A result or the ground truth as a picture, (H, W, 1 or 3) in [0, 1]."""
        ...

    def protocol(self) -> dict[str, Any]:
        """Every parameter, and in words what is done."""
        ...
