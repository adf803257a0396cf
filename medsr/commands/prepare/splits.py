"""Who goes to which part. Nobody's images go to two."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import PurePosixPath

from medsr.core.errors import UsageError
from medsr.data.cards import IMAGE, PARTS, SplitRule
from medsr.data.layout import LayoutItem


def deal(
    items: Iterable[LayoutItem],
    split: SplitRule,
    lists: Mapping[str, frozenset[str]],
    patients: Mapping[str, str],
    alike: Iterable[tuple[str, str]],
) -> tuple[dict[str, str], list[str]]:
    """Item id -> part, and what the user should know about it.

    A group is a subject with everyone who shares an image that looks the same (`alike`) or the patient in its DICOM
    header (`patients`). A group goes where its owner put it; where the owner put it in two places, all of it goes to
    test rather than train. Groups nobody placed are ordered by a hash of the seed and their name: the order of files
    changes nothing, a few more or less move only those next to the borders. Raises UsageError for a part the card
    does not know.
    """
    items = list(items)
    groups = _groups(items, patients, alike)
    placed: dict[str, set[str]] = {}
    for item in items:
        if several := _owners(item, split, lists):
            placed.setdefault(groups[item.id], set()).update(several)
    free = [group for group in dict.fromkeys(groups.values()) if group not in placed]
    ordered = sorted(free, key=lambda group: _draw(split.seed, group))
    parts = {}
    counts = [round(len(ordered) * split.train), round(len(ordered) * (split.train + split.validation))]
    for place, group in enumerate(ordered):
        parts[group] = "train" if place < counts[0] else "validation" if place < counts[1] else "test"
    notes = []
    torn = sorted(group for group, several in placed.items() if len(several) > 1)
    if torn:
        notes.append(
            f"{len(torn)} subject(s) stand in several of the owner's parts (the first: {torn[0]}); kept out of train"
        )
    for group, several in placed.items():
        parts[group] = next(part for part in reversed(PARTS) if part in several)
    if "validation" not in {part for several in placed.values() for part in several}:
        owned = sorted((group for group in placed if parts[group] == "train"), key=lambda one: _draw(split.seed, one))
        for group in owned[: round(len(owned) * split.validation)]:
            parts[group] = "validation"
    for part, share in (("validation", split.validation), ("test", split.test)):
        if share > 0 and part not in parts.values() and not split.parts:
            notes.append(f"{len(set(groups.values()))} subject(s) are too few for a {part} part")
    return {item.id: parts[groups[item.id]] for item in items}, notes


def _groups(items: list[LayoutItem], patients: Mapping[str, str], alike: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Item id -> the name of its group: of those joined, the first subject."""
    root: dict[str, str] = {}

    def top(name: str) -> str:
        while root.setdefault(name, name) != name:
            name = root[name]
        return name

    def join(one: str, other: str) -> None:
        first, second = sorted((top(one), top(other)))
        root[second] = first

    subject = {item.id: f"subject {item.subject or item.id}" for item in items}
    of_patient: dict[str, str] = {}
    for item in items:
        top(subject[item.id])
        if patient := patients.get(item.id):
            join(subject[item.id], of_patient.setdefault(patient, subject[item.id]))
    for one, other in alike:
        join(subject[one], subject[other])
    return {item.id: top(subject[item.id]) for item in items}


def _owners(item: LayoutItem, split: SplitRule, lists: Mapping[str, frozenset[str]]) -> set[str]:
    """The parts its owner put it in. Raises UsageError for one the card does not know."""
    wanted = {key.lower(): part for key, part in split.parts.items()}
    if wanted and item.part:
        if item.part.lower() not in wanted:
            known = ", ".join(split.parts)
            raise UsageError(f"split.parts: {item.files[IMAGE][0]} is of part {item.part!r}; the card knows {known}")
        return {wanted[item.part.lower()]}
    path = PurePosixPath(item.files[IMAGE][0].lower())
    return {part for part, names in lists.items() if path.name in names or path.stem in names}


def _draw(seed: int, group: str) -> str:
    return hashlib.sha256(f"{seed}:{group}".encode()).hexdigest()
