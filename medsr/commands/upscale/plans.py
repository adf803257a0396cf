"""From what the user names to every image of a batch and the place of its result, before anything is written."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from medsr.batch.status import results_in
from medsr.core.errors import UsageError
from medsr.io.images import image as image_io
from medsr.io.images.formats import BY_NAME
from medsr.io.kinds import left_out
from medsr.io.places import Writing, check, check_folder


@dataclass(frozen=True)
class UpscalePlan:
    """`jobs`: input and output of every image. `clashes`: inputs that are not done, with the reason.

    `notes`: what was left out, for the user to see.
    """

    jobs: list[tuple[Path, Path]]
    clashes: list[tuple[Path, str]]
    notes: list[str]


def plan(inputs: Sequence[str | Path], out: Path) -> UpscalePlan:
    """Input and output of every image. Files below a folder keep their place below it.

    Results of earlier runs, by the tables of `out` and of folders within an input, are no inputs; two inputs with one
    result are both left to the user. Raises UsageError where nothing remains, or an input would be overwritten.
    """
    check_folder(out)
    if out.suffix.lower() in image_io.SUFFIXES and not out.is_dir():
        raise UsageError(f"`out={out}`: is the name of an image, and results go into a folder; name a folder")
    notes: list[str] = []
    pairs: dict[tuple[str, Path], Path] = {}
    for entry in inputs:
        sources = image_io.expand([entry])
        folder = Path(entry)
        if folder.is_dir():
            sources = _originals(sources, folder, out, notes)
            notes += left_out(folder)
        for source in sources:
            below = source.relative_to(entry) if folder.is_dir() else Path(source.name)
            target = out / below
            target = target.with_name(target.name + _added_suffix(source))
            pairs.setdefault((os.path.realpath(source), target), source)
    jobs = [(source, target) for (_, target), source in pairs.items()]
    clashes = check([Writing(source, [source], [target]) for source, target in jobs])
    if len(clashes) == len(jobs):
        raise UsageError(next(iter(clashes.values())))
    kept = [job for number, job in enumerate(jobs) if number not in clashes]
    return UpscalePlan(kept, [(jobs[number][0], reason) for number, reason in clashes.items()], notes)


def _originals(sources: list[Path], folder: Path, out: Path, notes: list[str]) -> list[Path]:
    """Those that no run of medsr has made, as far as the tables in `out` and in folders below `folder` know."""
    folders = {source.parent for source in sources} | {
        parent for source in sources for parent in source.parents if folder in parent.parents
    }
    results = results_in(out).union(*(results_in(parent) for parent in folders if parent != folder))
    originals = [source for source in sources if os.path.realpath(source) not in results]
    count = len(sources) - len(originals)
    if not originals:
        raise UsageError(f"{folder}: holds only results of medsr; to enlarge them again, name the folder they are in")
    if count:
        notes.append(f"{folder}: left out: {count} result{'s' * (count > 1)} of earlier runs")
    return originals


def _added_suffix(source: Path) -> str:
    """Nothing where the name says the format of the content; else that format's suffix, after the whole name."""
    detected = image_io.detect_file_type(source)
    claimed = image_io.SUFFIXES.get(source.suffix.lower())
    result = image_io.PNG if detected is None else detected.result
    if claimed is not None and claimed.writer and (detected is None or claimed.name == result):
        return ""
    return BY_NAME[result].suffix
