"""Many results in one folder: none in the place of an input, none in the place of another."""

from __future__ import annotations

import os
import tempfile
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from medsr.core import platform
from medsr.core.errors import UsageError
from medsr.io.files import LONGEST

FileIdentity = tuple[int, int, str]
"""Device and inode of the nearest folder that is there, and the names below it."""


@dataclass(frozen=True)
class Writing:
    """One input, every file it is read from, and every file that its result is written to."""

    source: Path
    reads: Sequence[Path]
    writes: Sequence[Path]


def check_folder(out: Path) -> None:
    """Raise UsageError where something else than a folder has the name of the folder of results."""
    if os.path.lexists(out) and not out.is_dir():
        raise UsageError(f"`out={out}`: is not a folder")


def check(writings: Sequence[Writing]) -> dict[int, str]:
    """Which of `writings` clash, by their number, and with what: files that two of them would write.

    Files are told apart as the disk does: by device and inode, whatever link, mount or spelling leads to them.
    Raises UsageError where a result would be written in the place of an input, of whichever.
    """
    inputs = {
        identity: writing.source for writing in writings for file in writing.reads if (identity := _identity(file))
    }
    places = _places([file for writing in writings for file in writing.writes])
    first: dict[FileIdentity, tuple[int, Path]] = {}
    clashes: dict[int, str] = {}
    for number, writing in enumerate(writings):
        for file in writing.writes:
            if len(os.fsencode(file.name)) > LONGEST:
                reason = f"{writing.source}: {file.name} would be a name of more than {LONGEST} bytes; rename the input"
                clashes.setdefault(number, reason)
            elif fault := platform.fault_of_path(file):
                clashes.setdefault(number, f"{writing.source}: {fault}")
            if (identity := _identity(file)) in inputs:
                raise UsageError(
                    f"{writing.source}: its result {file} would overwrite the input {inputs[identity]}; "
                    "choose another `out`"
                )
            other, path = first.setdefault(places[file], (number, file))
            if other != number:
                spelt = "" if str(path) == str(file) else f" ({path} is the same file on this disk)"
                both = f"{writings[other].source} and {writing.source}"
                for clash in (other, number):
                    clashes.setdefault(clash, f"{both} would both be written to {file}{spelt}; run them separately")
    return clashes


def _identity(path: Path) -> tuple[int, int] | None:
    """Device and inode of what is there, whatever link, mount or spelling leads to it; None where nothing is."""
    try:
        info = path.stat()
    except (OSError, ValueError):
        return None
    return info.st_dev, info.st_ino


def target_identity(path: Path) -> FileIdentity:
    """Where a file is written, by rename: equal for two paths that lead to one entry of one folder."""
    here = Path(os.path.abspath(path))
    names = [here.name]
    while (identity := _identity(here.parent)) is None and here.parent != here:
        here = here.parent
        names.append(here.name)
    return (*(identity or (0, 0)), "/".join(reversed(names)))


def _places(paths: Iterable[Path]) -> dict[Path, FileIdentity]:
    """The place of every path, with names that the disk takes for one told as one."""
    exact = {path: target_identity(path) for path in paths}
    spelt: dict[FileIdentity, set[str]] = {}
    for device, inode, rest in exact.values():
        spelt.setdefault((device, inode, _folded(rest)), set()).add(rest)
    alike = {identity for identity, names in spelt.items() if len(names) > 1}
    folds: dict[int, bool] = {}
    identities = {}
    for path, (device, inode, rest) in exact.items():
        identity = (device, inode, _folded(rest))
        if identity in alike and device not in folds:
            folds[device] = folds_names(_nearest(path))
        identities[path] = identity if identity in alike and folds[device] else (device, inode, rest)
    return identities


def folds_names(folder: Path) -> bool:
    """Whether names that differ only in case, or in how accents are composed, are one file in `folder`.

    Tried out with an empty file; where that cannot be made, they are taken to be one.
    """
    try:
        with tempfile.NamedTemporaryFile(prefix=".medsr-\u00e4", dir=folder) as probe:
            name = os.path.basename(probe.name)
            others = (name.swapcase(), unicodedata.normalize("NFD", name))
            return any(os.path.lexists(os.path.join(folder, other)) for other in others)
    except OSError:
        return True


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def _nearest(path: Path) -> Path:
    """The nearest folder above that is there."""
    return next(folder for folder in Path(os.path.abspath(path)).parents if folder.is_dir())
