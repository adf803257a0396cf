"""Which scans are put together, and where their one result goes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from medsr.commands.volume.files import Target, files_read, name_for, names_file, outputs, refuse_foreign
from medsr.core.errors import UsageError
from medsr.core.types import Notify
from medsr.io.places import Writing
from medsr.io.places import check as places_check
from medsr.io.scans import Scan, expand
from medsr.io.volumes.dicom.series_list import choice_error, list_series
from medsr.io.volumes.volume_files import files_written, split_suffix


@dataclass(frozen=True)
class StackInput:
    """One scan: `path`, the UID of its `series` in a folder of several, and what it is called."""

    path: Path
    series: str | None
    name: str


def find_stacks(paths: Sequence[str | Path], out: Path, series: Sequence[str], notify: Notify) -> list[StackInput]:
    """The scans, in the order in which they are named: the first is the one that the others are brought to.

    `series`: those of one DICOM folder, each as `choose_series` takes it. Raises UsageError for fewer than two,
    ChoiceError for a folder of several series none of which is named.
    """
    if series and len(paths) != 1:
        raise UsageError("`series`: names series of one DICOM folder; give that folder alone")
    scans: list[Scan] = []
    for wanted in series or (None,):
        listing = expand(paths, out, wanted)
        scans += listing.scans
        if note := listing.note():
            notify(note)
    if not series:
        _refuse_several_series(paths, scans)
    unique = list({(scan.path, scan.series): scan for scan in scans}.values())
    if len(unique) < len(scans):
        raise UsageError("`series`: the same series is named twice")
    if len(unique) < 2:
        raise UsageError(f"`together`: takes two scans or more of one body part, not {len(unique)}")
    names = _names(unique)
    return [StackInput(scan.path, scan.series, name) for scan, name in zip(unique, names, strict=True)]


def _refuse_several_series(paths: Sequence[str | Path], scans: Sequence[Scan]) -> None:
    """Raise ChoiceError, with the list, for a folder of several series: localizers lie there, too."""
    for folder in (Path(path) for path in paths if Path(path).is_dir()):
        below = [scan for scan in scans if scan.path.is_dir() and scan.path.is_relative_to(folder)]
        if len(below) > 1:
            listing = list_series(folder)
            line = f"{folder}: holds {len(listing)} series; name those that go together with `series`"
            raise choice_error(line, listing)


def _names(scans: Sequence[Scan]) -> list[str]:
    """The files' names; with a number where several have one."""
    plain = [scan.path.name or scan.path.resolve().name for scan in scans]
    counts = Counter(plain)
    return [f"{name} ({n})" if counts[name] > 1 else name for n, name in enumerate(plain, 1)]


def target_for(stacks: Sequence[StackInput], out: Path, like: Path | None, uncertainty: bool) -> Target:
    """Where the result goes: the file `out`, or `<first>_together` in the folder `out`.

    Raises UsageError where that, or what is written beside it, would replace an input or a sidecar that is not ours.
    """
    stem, suffix = split_suffix(Path(name_for(stacks[0].path, False)))
    target = Target(stacks[0].path, out if names_file(out) else out / f"{stem}_together{suffix}")
    written = outputs(target, (), uncertainty)
    if uncertainty:
        written += files_written(coverage_path(target))
    sources = [*(stack.path for stack in stacks), *([like] if like else [])]
    writings = [Writing(path, files_read(path), written if n == 0 else ()) for n, path in enumerate(sources)]
    clashes = places_check(writings)
    if clashes:
        raise UsageError(next(iter(clashes.values())))
    refuse_foreign(target.beside(".json"))
    return target


def coverage_path(target: Target) -> Path:
    """How many scans cover each voxel of the result."""
    return target.beside(f"_coverage{target.suffix}")
