"""Another program beside ours: a benchmark's low resolution written out for it, its results taken in and measured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from medsr.benchmark.case import Array, Benchmark, Case, Item
from medsr.errors import InputError, UsageError
from medsr.io import image as image_io
from medsr.io.volume import SUFFIXES as OF_VOLUMES
from medsr.io.volume import split_suffix

SUFFIXES = {*image_io.SUFFIXES, *OF_VOLUMES}


@dataclass(frozen=True)
class Results:
    """What another program made of the low resolution: a runner that reads files, and computes nothing."""

    name: str
    folder: Path
    bench: Benchmark
    note: str = "made by another program, read from files"

    def __call__(self, case: Case) -> Array:
        """Raises InputError where there is no result, or one of another size."""
        path = find(self.folder, case.id)
        result = self.bench.take_in(path, case)
        if result.shape != case.ground_truth.shape:
            found, wanted = (" x ".join(map(str, one.shape)) for one in (result, case.ground_truth))
            raise InputError(f"{path}: {found}, the ground truth is {wanted}")
        return result


def parse(told: Sequence[str]) -> dict[str, Path]:
    """`NAME=DIR`, several of them. Raises UsageError."""
    found: dict[str, Path] = {}
    for one in told:
        name, _, folder = one.partition("=")
        if not name or not folder or name in found:
            raise UsageError(f"--results {one}: expected NAME=DIR, every name once")
        if not Path(folder).is_dir():
            raise UsageError(f"--results {one}: {folder} is no folder")
        found[name] = Path(folder)
    return found


def find(folder: Path, case: str) -> Path:
    """The file in `folder` named as the case, or beginning so: programs add `_out` and the like.

    Raises InputError where there is none, or several.
    """
    stem = stem_of(case)
    there = [path for path in (folder / stem).parent.glob("*") if path.is_file() and _is_result(path)]
    named = [path for path in there if split_suffix(path)[0] == stem.name or path.stem == stem.name]
    found = named or [
        path for path in there if path.name.startswith(stem.name) and not path.name[len(stem.name)].isalnum()
    ]
    if len(found) != 1:
        names = ", ".join(sorted(path.name for path in found)) or "none"
        raise InputError(f"{folder}: expected one result named {stem} or {stem}_..., found {names}")
    return found[0]


def stem_of(case: str) -> Path:
    """A case's place and name, without the suffix that some carry."""
    path = Path(case)
    if path.suffix.lower() in image_io.SUFFIXES:
        return path.with_suffix("")
    return path.with_name(split_suffix(path)[0])


def write_inputs(bench: Benchmark, items: Sequence[Item], folder: Path) -> None:
    """The low resolution of every case, for another program. Raises as `bench.load`."""
    for item in items:
        bench.hand_out(bench.load(item), folder / stem_of(item.id))


def _is_result(path: Path) -> bool:
    return split_suffix(path)[1].lower() in SUFFIXES or path.suffix.lower() in SUFFIXES
