"""Which files of a folder are a data set's images, and what belongs to each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path, PurePosixPath

from medsr.core.errors import InputError
from medsr.data import cards, manifest
from medsr.data.cards import IMAGE, Card
from medsr.io.files import sha256 as file_sha256

ARCHIVES = (".zip", ".tar", ".tgz", ".tar.gz", ".tar.bz2", ".tar.xz", ".gz")
SHOWN = 3
Key = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class LayoutItem:
    """One image of a data set. `files`: by role, the names that claim it (mostly one), `/` between folders.

    `subject`: of whom, where the names tell; `part`: where the owner put it, as the card's patterns say.
    """

    id: str
    subject: str
    part: str
    files: Mapping[str, tuple[str, ...]] = field(hash=False)


def match(card: Card, names: Iterable[str], above: str = "") -> list[LayoutItem]:
    """The items among `names`, paths with `/`, sorted by id; whatever order and folder they are in.

    `above`: the name of the folder they lie in, which a pattern may ask for. Ids are unique, also where upper and
    lower case are one, and hold no `@`.
    """
    names = list(names)
    by_role = {role: _matches(card, role, names, above) for role in card.patterns}
    images: dict[Key, list[str]] = {}
    for name, fields in by_role[IMAGE].items():
        identity = tuple(sorted((key, value.lower()) for key, value in fields.items()))
        images.setdefault(identity or (("path", _stem(name)),), []).append(name)
    ids = _unique({key: min(claims) for key, claims in images.items()})
    shared = {field for pattern in card.patterns[IMAGE] for field in pattern.fields}
    companions = {role: _by_fields(matches, shared) for role, matches in by_role.items() if role != IMAGE}
    items = []
    for key, claims in images.items():
        image_fields = dict(key)
        files = {IMAGE: tuple(sorted(claims))}
        for role, index in companions.items():
            claims_of_role = [
                name for fields, by_values in index.items() for name in by_values.get(_values(image_fields, fields), ())
            ]
            if claims_of_role:
                files[role] = tuple(sorted(claims_of_role))
        items.append(LayoutItem(ids[key], image_fields.get("subject", ""), image_fields.get("part", ""), files))
    return sorted(items, key=lambda item: item.id)


def find(card: Card, folder: Path) -> list[tuple[LayoutItem, dict[str, Path]]]:
    """The items of a folder as its owner ships it, or as `medsr prepare` made it, each with its files by role.

    Raises InputError that says what was expected and what is there.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: not a folder")
    if (rows := manifest.read(folder)) is not None:
        return _prepared(card, folder, rows)
    names = [path.relative_to(folder).as_posix() for path in sorted(folder.rglob("*")) if path.is_file()]
    items = match(card, names, folder.resolve().name)
    if not items:
        hint = ""
        if any(name.lower().endswith(ARCHIVES) for name in names):
            hint = f"; archives are unpacked by: medsr prepare {card.name} {folder} --out DIR"
        raise InputError(unlike(card, folder, names) + hint)
    for item in items:
        for claims in item.files.values():
            if len(claims) > 1 and len({file_sha256(folder / name) for name in claims}) > 1:
                raise InputError(f"{folder}: {claims[0]} and {claims[1]} are both {item.id} and differ; remove one")
    return [(item, {role: folder / claims[0] for role, claims in item.files.items()}) for item in items]


def unlike(card: Card, folder: Path, names: list[str]) -> str:
    """What was expected in a folder and what is there instead, in one line."""
    patterns = " or ".join(card.files[IMAGE][:SHOWN])
    count = f"{card.expected.images} images " if card.expected.images else "images "
    listing = ", ".join(names[:SHOWN]) + (", ..." if len(names) > SHOWN else "")
    contents = f"{len(names)} files ({listing})" if names else "nothing"
    text = f"{folder}: not {card.title} as its owner ships it: expected {count}named {patterns}, found {contents}"
    if strange := [name for name in names if name.lower().endswith((".rar", ".7z"))]:
        text += f"; unpack {strange[0]} yourself"
    candidates = [other.name for other in cards.shipped() if not other.tells_nobody and len(match(other, names)) > 0]
    return text + (f"; it looks like {' or '.join(candidates[:SHOWN])}" if candidates else "")


def _matches(card: Card, role: str, names: Iterable[str], above: str) -> dict[str, dict[str, str]]:
    matches = {}
    for name in names:
        if any(part.startswith((".", "__MACOSX")) for part in name.split("/")):
            continue
        for pattern in card.patterns[role]:
            if (fields := pattern.match(f"{above}/{name}" if above else name)) is not None:
                matches[name] = fields
                break
    return matches


def _by_fields(
    matches: Mapping[str, Mapping[str, str]], image_fields: set[str]
) -> dict[tuple[str, ...], dict[tuple[str | None, ...], list[str]]]:
    """Names by the fields they share with images, and by those fields' values."""
    index: dict[tuple[str, ...], dict[tuple[str | None, ...], list[str]]] = {}
    for name, matched in matches.items():
        fields = tuple(sorted(set(matched) & image_fields))
        values = tuple(matched[field].lower() for field in fields)
        index.setdefault(fields, {}).setdefault(values, []).append(name)
    return index


def _values(values: Mapping[str, str], fields: tuple[str, ...]) -> tuple[str | None, ...]:
    return tuple(values.get(field) for field in fields)


def _unique(first: Mapping[Key, str]) -> dict[Key, str]:
    """Key -> id: its file's name, where that is not unique with its folders, where that is not with a hash."""
    ids = {
        key: PurePosixPath(_stem(name)).name if "path" not in dict(key) else _stem(name) for key, name in first.items()
    }
    for attempt in (_stem, lambda name: f"{_stem(name)}-{sha256(name.encode()).hexdigest()[:8]}"):
        ids = {key: id.replace("/", "__").replace("@", "_") for key, id in ids.items()}
        counts = Counter(id.lower() for id in ids.values())
        ids = {key: id if counts[id.lower()] == 1 else attempt(first[key]) for key, id in ids.items()}
    return {key: id.replace("/", "__").replace("@", "_") for key, id in ids.items()}


def _stem(name: str) -> str:
    path = PurePosixPath(name)
    stem = path.name.removesuffix(".gz")
    return str(path.with_name(stem.rpartition(".")[0] or stem))


def _prepared(card: Card, folder: Path, rows: list[manifest.ManifestRow]) -> list[tuple[LayoutItem, dict[str, Path]]]:
    card_names = {row.card for row in rows}
    if card_names and card_names != {card.name}:
        raise InputError(f"{folder}: was prepared as {', '.join(sorted(card_names))}, not as {card.name}")
    files: dict[str, dict[str, Path]] = {}
    about: dict[str, LayoutItem] = {}
    for row in rows:
        if row.file and row.original:
            files.setdefault(row.id, {})[row.role] = folder / row.file
            about[row.id] = LayoutItem(row.id, row.subject, row.part, {})
    items = [(about[id], by_role) for id, by_role in files.items() if IMAGE in by_role]
    if not items:
        raise InputError(f"{folder}: prepared without whole images (crops only); give the folder as its owner ships it")
    return items
