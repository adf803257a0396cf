"""What a folder holds of a data set: files as they lie there, and those in archives."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from medsr.data import layout
from medsr.data.cards import Card
from medsr.data.layout import Item
from medsr.errors import InputError
from medsr.prep import archives

Say = Callable[[str], None]


@dataclass(frozen=True)
class Source:
    """`items`: what the card's patterns found; `places`: where every name lies; `lists`: the owner's, by part."""

    items: list[Item]
    places: dict[str, Path]
    lists: dict[str, frozenset[str]]


def collect(card: Card, source: Path, out: Path, work: Path, say: Say) -> Source:
    """Look through `source` (a folder or an archive), unpacking into `work` what the card asks for.

    Raises InputError where nothing fits the card, saying what was expected and what was found.
    """
    plain = _files(source, out)
    places = dict(plain)
    wanted = _wanted(card)
    for name, path in plain.items():
        if archives.is_archive(name) and not wanted(name):
            if not archives.is_single(name):
                say(f"unpacking {name}")
            inside = work / "unpacked" / name
            for inner in archives.unpack(path, inside, wanted):
                places[f"{name}/{inner}"] = inside / inner
    items = layout.match(card, places)
    if not items:
        raise InputError(layout.unlike(card, source, sorted(places)))
    lists: dict[str, frozenset[str]] = {part: _listed(text, places) for part, text in card.split.lists.items()}
    return Source(items, places, lists)


def _files(source: Path, out: Path) -> dict[str, Path]:
    if source.is_file():
        return {source.name: source}
    found = {}
    below = _real(out)
    for folder, folders, files in os.walk(source):
        folders[:] = sorted(name for name in folders if not name.startswith(".") and _real(Path(folder, name)) != below)
        for name in sorted(files):
            path = Path(folder, name)
            if not name.startswith(".") and path.is_file():
                found[path.relative_to(source).as_posix()] = path
    return found


def _wanted(card: Card) -> Callable[[str], bool]:
    """Whether the card asks for a file of that name."""
    patterns = [pattern for patterns in card.patterns.values() for pattern in patterns]
    lists = {text.lower() for text in card.split.lists.values()}

    def wanted(name: str) -> bool:
        if PurePosixPath(name).name.lower() in lists:
            return True
        return any(pattern.match(name) is not None for pattern in patterns)

    return wanted


def _listed(text: str, places: dict[str, Path]) -> frozenset[str]:
    """The names in the owner's list of that name, lower case; none where the list is not there."""
    for name, path in places.items():
        if PurePosixPath(name).name.lower() == text.lower():
            return frozenset(path.read_text("utf-8", errors="replace").lower().split())
    return frozenset()


def _real(path: Path) -> Path:
    return Path(os.path.realpath(path))
