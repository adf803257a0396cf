"""From what the user names (folders, globs, list files, a BIDS dataset) to every input and the place of its result."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from medsr.cohorts import bids
from medsr.cohorts.plan import Unit
from medsr.errors import UsageError
from medsr.infer.batch import plan as plan_images
from medsr.io import image as image_io
from medsr.io import volume as volume_io
from medsr.scan.files import Target, check, name_for

LIST = ".txt"


def images(inputs: Sequence[str], out: Path) -> list[Unit]:
    """As `medsr upscale` finds them."""
    pairs = plan_images(list(_listed(inputs)), out)
    return [_unit(source, target) for source, target in pairs]


def scans(inputs: Sequence[str], out: Path, dicom: bool, uncertainty: bool) -> list[Unit]:
    """Scans keep their place below the folder that was named, or below the one all of them share.

    Raises UsageError where there is none, or two would be written to one place.
    """
    found: dict[Path, Path] = {}
    loose: list[Path] = []
    for entry in _listed(inputs):
        if Path(entry).is_dir():
            below = [scan for scan in _below(Path(entry)) if not _within(scan, out)]
            if not below:
                raise UsageError(f"{entry}: no scan there")
            found |= {scan: scan.parent.relative_to(entry) if scan != Path(entry) else Path() for scan in below}
        else:
            loose += volume_io.expand([entry])
    if loose:
        places = {scan: Path(os.path.abspath(scan)).parent for scan in loose}
        shared = os.path.commonpath(places.values())
        found |= {scan: place.relative_to(shared) for scan, place in places.items()}
    targets = [Target(scan, out / place / name_for(scan, dicom), dicom) for scan, place in found.items()]
    check(targets, (), uncertainty)
    return [_unit(target.scan, target.volume) for target in targets]


def dataset(inputs: Sequence[str]) -> Path | None:
    """The BIDS dataset, where the one input is its root."""
    root = Path(inputs[0]) if len(inputs) == 1 else None
    return root if root is not None and bids.is_dataset(root) else None


def of_dataset(root: Path, out: Path, suffixes: Sequence[str], uncertainty: bool) -> list[Unit]:
    """The images of a BIDS dataset as derivatives in `out`."""
    targets = [Target(scan, target) for scan, target in bids.find(root, out, suffixes)]
    check(targets, (), uncertainty)
    return [_unit(target.scan, target.volume) for target in targets]


def _unit(source: Path, target: Path) -> Unit:
    try:
        str(source).encode()
    except UnicodeEncodeError as error:
        raise UsageError(f"{str(source)!r}: a name that is not UTF-8; rename it") from error
    return Unit(os.path.abspath(source), os.path.abspath(target))


def _listed(inputs: Sequence[str]) -> Iterator[str]:
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


def _below(folder: Path) -> Iterator[Path]:
    """Every volume file below a folder, and every folder of DICOM slices."""
    seen = set()  # links may lead in a circle
    for place, folders, names in os.walk(folder, followlinks=True):
        if os.path.realpath(place) in seen:
            folders.clear()
            continue
        seen.add(os.path.realpath(place))
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        files = [Path(place) / name for name in sorted(names) if not name.startswith(".")]
        volumes = [file for file in files if volume_io.is_volume(file)]
        if volumes:
            yield from volumes
        elif any(image_io.is_dicom(file) for file in files):
            yield Path(place)


def _within(path: Path, folder: Path) -> bool:
    return Path(os.path.realpath(path)).is_relative_to(os.path.realpath(folder))
