"""What medsr wrote itself below a folder of data: samples of runs and results of its commands are no ground truth."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path, PurePath

from medsr.batch import status
from medsr.io.volumes import volume_files

_RUN = ("log.jsonl", "recipe.yml", "state")
"""What lies in a run's folder."""
SHOWN = 4
"""Names given of files that are left out together."""


def part_own(folder: Path, paths: Iterable[Path]) -> tuple[list[Path], list[tuple[Path, str]]]:
    """The paths without what medsr wrote itself; and that, as no or one entry with the reason, counted and named."""
    _written_in.cache_clear()
    _is_result.cache_clear()
    kept: list[Path] = []
    outputs: list[Path] = []
    for path in paths:
        (outputs if is_own(path) else kept).append(path)
    if not outputs:
        return kept, []
    names = ", ".join(_named(folder, path) for path in outputs[:SHOWN])
    more = f" and {len(outputs) - SHOWN} more" if len(outputs) > SHOWN else ""
    files = (
        "1 file that medsr wrote itself is"
        if len(outputs) == 1
        else f"{len(outputs)} files that medsr wrote itself are"
    )
    return kept, [(folder, f"{folder}: {files} not ground truth (samples, results): {names}{more}")]


def _named(folder: Path, path: Path) -> str:
    return (path.relative_to(folder) if path.is_relative_to(folder) else path).as_posix()


def is_own(path: Path) -> bool:
    """Whether it is a sample of a run, a result that a sidecar or `status.tsv` records, or a preview of one."""
    absolute = path.absolute()
    above = list(absolute.parents)
    is_sample = re.fullmatch(r"\d{8}\.png", absolute.name) and above[0].name == "samples"
    if is_sample and any((above[0].parent / name).exists() for name in _RUN):
        return True
    if absolute.name.endswith("_preview.png") and _is_result(
        absolute.with_name(absolute.name[: -len("_preview.png")] + ".nii")
    ):
        return True
    if any(map(_is_result, (absolute, *above[:-1]))):
        return True
    return any(not {absolute, *above[:n]}.isdisjoint(_written_in(folder)) for n, folder in enumerate(above))


@lru_cache(maxsize=4096)
def _is_result(path: Path) -> bool:
    try:
        return volume_files.is_result(path)
    except OSError:
        return False


@lru_cache(maxsize=4096)
def _written_in(folder: Path) -> frozenset[Path]:
    """The files, and folders of slices, that medsr recorded there as its results; `folder` itself is none."""
    results = status.pictures_in(folder)
    try:
        outputs = [row.output for row in status.read(folder / status.NAME) if row.outcome == status.DONE and row.output]
    except (OSError, ValueError):
        outputs = []
    places = {folder / name for name in results} | {_below(folder, output) for output in outputs}
    return frozenset(output_path for output_path in places if output_path is not None and output_path != folder)


def _below(folder: Path, output: str) -> Path | None:
    """Where a recorded result lies in the folder of its table, which may have been moved since."""
    parts = [part for part in PurePath(output.replace("\\", "/")).parts if part not in ("/", ".")]
    tails = (folder.joinpath(*parts[start:]) for start in range(len(parts)))
    return next((tail for tail in tails if os.path.exists(tail)), None)
