"""Another program beside ours: a benchmark's low resolution written out for it, its results taken in and measured."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from medsr.commands.evaluate.case import Benchmark, Case, Item
from medsr.commands.evaluate.gallery import TRUTH
from medsr.core.errors import InputError, UsageError
from medsr.core.types import Array
from medsr.io.volumes.volume_files import split_suffix
from medsr.networks import weight_store


@dataclass(frozen=True)
class Results:
    """What another program made of the low resolution: a runner that reads files, and computes nothing.

    `files`: case -> the files that may be its result.
    """

    folder: Path
    bench: Benchmark
    files: Mapping[str, list[Path]] = field(hash=False)
    sha256: None = None
    note: str = "made by another program, read from files"

    def __call__(self, case: Case) -> Array:
        """Raises InputError where there is not one result, of the ground truth's size."""
        files = self.files[case.id]
        if len(files) != 1:
            there = ", ".join(path.name for path in files) or "none"
            raise InputError(f"{self.folder}: expected one result of {case.id}, named as its input is, found {there}")
        return self.bench.import_results(files[0], case)


def parse(arguments: Sequence[str]) -> dict[str, Path]:
    """`NAME=DIR`, several of them. Raises UsageError."""
    folders: dict[str, Path] = {}
    for argument in arguments:
        name, _, folder = argument.partition("=")
        if not name or not folder or name in folders:
            raise UsageError(f"`results={argument}`: expected NAME=DIR, every name once")
        folders[name] = Path(folder)
    return folders


def results(name: str, folder: Path, bench: Benchmark, cases: Mapping[str, str]) -> Results:
    """The results below `folder`, each given to the case (id -> name) it is named after. Raises UsageError."""
    if not folder.is_dir():
        raise UsageError(f"`results={name}={folder}`: no such folder")
    if name in (TRUTH, *weight_store.RESERVED, *weight_store.entries()):
        raise UsageError(f"`results={name}={folder}`: a name of our own; choose another")
    files = sorted(path for path in folder.rglob("*") if path.is_file() and bench.is_result(path))
    return Results(folder, bench, _match_files(cases, folder, files))


def names(items: Sequence[Item]) -> dict[str, str]:
    """Where each case's input and result lie: its place and name; without its suffix where that is no other's.

    Raises InputError for a name that leads elsewhere.
    """
    for item in items:
        if Path(item.id).is_absolute() or ".." in Path(item.id).parts or "\\" in item.id:
            raise InputError(f"{item.image}: its name {item.id!r} leads out of the folder")
    short = {item.id: _without_suffix(item) for item in items}
    taken = Counter(short.values())
    return {case: name if taken[name] == 1 else case for case, name in short.items()}


def check_inputs(folder: Path, data: Path) -> None:
    """Raise UsageError where inputs would come to lie among other files, or among the ground truth."""
    if folder.resolve().is_relative_to(data.resolve()):
        raise UsageError(f"`inputs={folder}`: lies in `data`, and would be measured as ground truth; choose another")
    if folder.is_dir() and any(folder.iterdir()):
        raise UsageError(f"`inputs={folder}`: is not empty; give a new folder, so that nothing is overwritten")


def _without_suffix(item: Item) -> str:
    path = Path(item.id)
    return path.with_name(split_suffix(path)[0]).as_posix() if item.image.name == path.name else item.id


def _match_files(cases: Mapping[str, str], folder: Path, files: Sequence[Path]) -> dict[str, list[Path]]:
    """A file named exactly as a case is its result; else what begins so, unless that is longer another's name."""
    exact: dict[str, list[Path]] = {case: [] for case in cases}
    begun: dict[str, list[Path]] = {case: [] for case in cases}
    by_length = sorted(cases, key=lambda case: len(cases[case]), reverse=True)
    for path in files:
        relative = path.relative_to(folder).as_posix()
        for case in by_length:
            name = cases[case]
            rest = relative.removeprefix(name)
            if rest == relative or "/" in rest or rest[:1].isalnum():
                continue
            is_all = rest in (path.suffix, split_suffix(path)[1])
            (exact if is_all else begun)[case].append(path)
            break
    return {case: exact[case] or begun[case] for case in cases}
