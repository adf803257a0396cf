"""What lies in a folder, for every command: which files, in which order, and which are left out."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from medsr.core.text import shown

RECORDS = frozenset(
    ("status.tsv", "upscale.json", "manifest.csv", "prepare.yml", "summary.html", "cohort.html", "thumbs.db")
)
"""Files that nobody takes for pictures: medsr's own tables and pages, and what a system leaves."""

NAMED = 3
"""Of what cannot be opened, so many are named, the rest counted."""


def files_below(folder: Path, apart: Iterable[Path] = (), closed: list[Path] | None = None) -> Iterator[Path]:
    """Every file below `folder`, folder by folder in the order of their names; hidden ones are left out.

    Links to files and folders are followed, each folder once, by its own name rather than by a link's. Pipes, sockets
    and devices are left out; so is what lies below a folder of `apart`. `closed` gets what cannot be opened: links that
    lead nowhere, folders without permission, pipes.
    """
    seen = {os.path.realpath(path) for path in apart}
    waiting = [folder]
    closed = [] if closed is None else closed
    while waiting:
        folder_path = waiting.pop(0)
        if os.path.realpath(folder_path) not in seen:
            yield from _below(folder_path, seen, waiting, closed)


def cannot_open(folder: Path, closed: Sequence[Path]) -> str:
    """One line that counts and names what `files_below` could not open there; nothing where it opened all."""
    if not closed:
        return ""
    names = ", ".join(shown(os.path.relpath(path, folder)) for path in closed[:NAMED])
    more = f" and {len(closed) - NAMED} more" if len(closed) > NAMED else ""
    return f"{shown(folder)}: left out, as medsr cannot open them: {names}{more}"


def _below(folder: Path, seen: set[str], links: list[Path], closed: list[Path]) -> Iterator[Path]:
    """The files below a folder; links to folders are put off, so that no folder is known by a link's name."""
    seen.add(os.path.realpath(folder))
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError:  # not ours to look into
        closed.append(folder)
        return
    inner: list[Path] = []
    for entry in entries:
        path = folder / entry.name
        if entry.name.startswith("."):
            continue
        if path.is_file():  # of regular files alone
            yield path
        elif entry.is_symlink() and path.is_dir():
            links.append(path)
        elif entry.is_dir(follow_symlinks=False) and os.path.realpath(path) not in seen:
            inner.append(path)
        elif not entry.is_dir(follow_symlinks=False):
            closed.append(path)
    for path in inner:
        yield from _below(path, seen, links, closed)


def left_out(files: Iterable[Path], read: Callable[[Path], bool], folder: Path | None = None) -> str:
    """One line that counts and names the kinds of `files` that are not `read` as images; nothing where all are.

    `folder`: named first, where there may be several.
    """
    kinds = Counter(_kind(path) for path in files if path.name.lower() not in RECORDS and not read(path))
    if not kinds:
        return ""
    total = sum(kinds.values())
    counts = ", ".join(f"{kind} {count}" for kind, count in sorted(kinds.items(), key=lambda item: (-item[1], item[0])))
    where = f"{shown(folder)}: " if folder is not None else ""
    return f"{where}left out: {total} file{'s' * (total > 1)} that medsr does not read as images ({counts})"


def _kind(path: Path) -> str:
    name = path.name.lower()
    return ".nii.gz" if name.endswith(".nii.gz") else shown(path.suffix.lower()) or "no suffix"
