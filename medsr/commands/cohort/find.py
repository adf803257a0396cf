"""From what the user names (folders, globs, list files, a BIDS dataset) to every input and the place of its result."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from medsr.commands.cohort import bids
from medsr.commands.cohort.plan import CohortItem
from medsr.commands.upscale.plans import plan as plan_images
from medsr.commands.volume.files import Target, check, target_of
from medsr.core.errors import InputError, UsageError
from medsr.io.scans import expand
from medsr.io.wrong_kind import IMAGES, SCANS, all_images, all_scans, holds_images, holds_only_scans

LIST = ".txt"


@dataclass(frozen=True)
class CohortInputs:
    """`clashes`: inputs that would share their result, with the reason; `notes`: what was left out."""

    items: list[CohortItem]
    clashes: list[tuple[Path, str]]
    notes: list[str]


def images(inputs: Sequence[str], out: Path) -> CohortInputs:
    """As `medsr upscale` finds them. Raises UsageError where there is none, or an input would be overwritten."""
    named = list(_read_lists(inputs))
    try:
        plan = plan_images(named, out)
    except UsageError:
        for folder in filter(holds_only_scans, map(Path, named)):
            raise UsageError(f"{folder}: {SCANS}medsr cohort volume") from None
        raise
    if all_scans([source for source, _ in plan.jobs]):
        raise UsageError(f"{' '.join(inputs)}: scans, not images; for scans: medsr cohort volume")
    return CohortInputs([_item(*job) for job in plan.jobs], plan.clashes, plan.notes)


def scans(inputs: Sequence[str], out: Path, dicom: bool, uncertainty: bool) -> CohortInputs:
    """As `medsr volume` finds them; those named one by one keep their place below the folder all of them share.

    Raises UsageError where there is none, or an input would be overwritten.
    """
    try:
        matches = expand(_read_lists(inputs), out)
    except InputError as error:
        raise UsageError(f"{error}: no scan there") from error
    if matches.barren:
        reason = f"{IMAGES}medsr cohort upscale" if holds_images(matches.barren[0]) else "no scan there"
        raise UsageError(f"{matches.barren[0]}: {reason}")
    if all_images([scan.path for scan in matches.scans]):
        raise UsageError(f"{' '.join(inputs)}: images, not scans; for images: medsr cohort upscale")
    loose = [os.path.dirname(os.path.abspath(scan.path)) for scan in matches.scans if scan.subfolder is None]
    shared = os.path.commonpath(loose) if loose else ""
    located = [
        scan
        if scan.subfolder is not None
        else replace(scan, subfolder=Path(os.path.abspath(scan.path)).parent.relative_to(shared))
        for scan in matches.scans
    ]
    targets = [target_of(scan, out, dicom) for scan in located]
    return _without_clashes(targets, uncertainty, [note] if (note := matches.note()) else [])


def dataset(inputs: Sequence[str]) -> Path | None:
    """The BIDS dataset, where the one input is its root."""
    root = Path(inputs[0]) if len(inputs) == 1 else None
    return root if root is not None and bids.is_dataset(root) else None


def bids_images(root: Path, out: Path, suffixes: Sequence[str], uncertainty: bool) -> CohortInputs:
    """The images of a BIDS dataset as derivatives in `out`."""
    return _without_clashes([Target(scan, target) for scan, target in bids.find(root, out, suffixes)], uncertainty)


def _without_clashes(targets: list[Target], uncertainty: bool, notes: Sequence[str] = ()) -> CohortInputs:
    kept, clashes = check(targets, (), uncertainty)
    return CohortInputs([_item(target.scan, target.volume, target.series) for target in kept], clashes, list(notes))


def _item(source: Path, target: Path, series: str | None = None) -> CohortItem:
    return CohortItem(os.path.abspath(source), os.path.abspath(target), series)


def _read_lists(inputs: Sequence[str]) -> Iterator[str]:
    """Inputs, and those that list files name, a line each, relative to the list."""
    for entry in inputs:
        path = Path(entry)
        if path.suffix.lower() != LIST or not path.is_file():
            yield entry
            continue
        try:
            lines = [line.strip() for line in path.read_text(encoding="utf-8-sig").split("\n")]
        except UnicodeDecodeError as error:
            raise UsageError(f"{path}: the list is not UTF-8") from error
        named = [line for line in lines if line and not line.startswith("#")]
        if not named:
            raise UsageError(f"{path}: the list names nothing")
        for line in named:
            if not os.path.exists(path.parent / line):
                raise UsageError(f"{path}: names {line}, which is not there")
            yield str(path.parent / line)
