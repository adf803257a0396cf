"""What a folder holds of a data set: files as they lie there, and those in archives."""

from __future__ import annotations

import os
from collections.abc import Callable, Container
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path, PurePosixPath

from medsr.commands.prepare import archives
from medsr.core.errors import InputError
from medsr.core.text import shown
from medsr.core.types import Notify
from medsr.data import layout
from medsr.data.cards import Card
from medsr.data.layout import LayoutItem
from medsr.io.images import image as image_io
from medsr.io.listing import cannot_open, files_below
from medsr.io.volumes import volume_files


@dataclass(frozen=True)
class Source:
    """`items`: what the card's patterns found; `paths`: where every name lies; `lists`: the owner's, by part.

    `broken`: single compressed files that cannot be opened. `ignored`: images no pattern asks for.
    """

    items: list[LayoutItem]
    paths: dict[str, Path]
    lists: dict[str, frozenset[str]]
    broken: list[tuple[str, InputError]]
    ignored: list[str]


def collect(card: Card, source: Path, out: Path, work: Path, notify: Notify) -> Source:
    """Look through `source` (a folder or an archive), unpacking into `work` what the card asks for.

    Raises InputError where nothing fits the card, saying what was expected and what was found; and for an archive that
    is damaged or not safe.
    """
    closed: list[Path] = []
    plain = _files(source, out, closed)
    if message := cannot_open(source, closed):
        notify(message)
    paths = dict(plain)
    above = source.resolve().name if source.is_dir() else ""
    wanted = _wanted(card, above)
    broken: list[tuple[str, InputError]] = []
    for name, path in plain.items():
        if archives.is_archive(name) and not wanted(name):
            single = archives.is_single(name)
            if not single:
                notify(f"unpacking {name}")
            inside = work / "unpacked" / name
            try:
                for inner in archives.unpack(path, inside, wanted):
                    paths[_readable(f"{name}/{inner}", paths)] = inside / inner
            except InputError as error:
                if not single:
                    raise
                broken.append((name, error))
    items = layout.match(card, paths, above)
    if not items:
        raise InputError(layout.unlike(card, source, sorted(paths)))
    lists: dict[str, frozenset[str]] = {part: _listed(text, paths) for part, text in card.split.lists.items()}
    used = {name for item in items for names in item.files.values() for name in names}
    ignored = [name for name in paths if name not in used and _is_scan(card, name)]
    return Source(items, paths, lists, broken, ignored)


def _is_scan(card: Card, name: str) -> bool:
    if card.kind == "volumes":
        return volume_files.is_volume(Path(name))
    return PurePosixPath(name).suffix.lower() in {*image_io.SUFFIXES, *image_io.UNREAD}


def _files(source: Path, out: Path, closed: list[Path]) -> dict[str, Path]:
    """Every file by its name, links to folders followed once.

    Of a name that is not readable text (bytes that are not UTF-8, control characters) those letters are spelt out.
    """
    if source.is_file():
        return {_readable(source.name, ()): source}
    paths: dict[str, Path] = {}
    for path in files_below(source, (out,), closed):
        paths[_readable(path.relative_to(source).as_posix(), paths)] = path
    return paths


def _readable(name: str, taken: Container[str]) -> str:
    """A name that can stand in tables and be a file's: `M_xfcller` where a byte of it is not UTF-8."""
    if name.isprintable():
        return name
    spelt = shown(name).replace("\\", "_").replace("\t", "_x09")
    digest = sha256(os.fsencode(name)).hexdigest()[:8]
    return spelt if spelt not in taken else str(PurePosixPath(spelt).with_stem(f"{PurePosixPath(spelt).stem}-{digest}"))


def _wanted(card: Card, above: str) -> Callable[[str], bool]:
    """Whether the card asks for a file of that name."""
    patterns = [pattern for patterns in card.patterns.values() for pattern in patterns]
    lists = {text.lower() for text in card.split.lists.values()}

    def wanted(name: str) -> bool:
        if PurePosixPath(name).name.lower() in lists:
            return True
        return any(pattern.match(f"{above}/{name}" if above else name) is not None for pattern in patterns)

    return wanted


def _listed(text: str, paths: dict[str, Path]) -> frozenset[str]:
    """The names in the owner's list of that name, lower case; none where the list is not there."""
    for name, path in paths.items():
        if PurePosixPath(name).name.lower() == text.lower():
            return frozenset(path.read_text("utf-8", errors="replace").lower().split())
    return frozenset()
