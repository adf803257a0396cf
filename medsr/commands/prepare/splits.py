"""The split of every item: train, validation or test. All images of a subject go to one."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import PurePosixPath

from medsr.core.errors import UsageError
from medsr.data.cards import IMAGE, PARTS, SplitRule
from medsr.data.layout import LayoutItem


def assign_splits(
    items: Iterable[LayoutItem],
    rule: SplitRule,
    lists: Mapping[str, frozenset[str]],
    patients: Mapping[str, str],
    lookalikes: Iterable[tuple[str, str]],
) -> tuple[dict[str, str], list[str]]:
    """Item id -> split, and what the user should know about it.

    A group is a subject with everyone who shares an image that looks the same (`lookalikes`), or the patient in its
    DICOM header (`patients`). A group goes where its owner put it; where the owner put it in two places, all of it
    goes to test rather than train. Groups nobody placed are ordered by a hash of the seed and their name: the order
    of files changes nothing, a few more or less move only those next to the borders. Raises UsageError for a part
    the card does not know.
    """
    items = list(items)
    groups = _groups(items, patients, lookalikes)
    placed: dict[str, set[str]] = {}
    for item in items:
        if by_owner := _owners(item, rule, lists):
            placed.setdefault(groups[item.id], set()).update(by_owner)
    free = [group for group in dict.fromkeys(groups.values()) if group not in placed]
    ordered = sorted(free, key=lambda group: _draw(rule.seed, group))
    splits = {}
    ends = [round(len(ordered) * rule.train), round(len(ordered) * (rule.train + rule.validation))]
    for index, group in enumerate(ordered):
        splits[group] = "train" if index < ends[0] else "validation" if index < ends[1] else "test"
    notes = []
    torn = sorted(group for group, by_owner in placed.items() if len(by_owner) > 1)
    if torn:
        notes.append(
            f"{len(torn)} subject(s) stand in several of the owner's parts (the first: {torn[0]}); kept out of train"
        )
    for group, by_owner in placed.items():
        splits[group] = next(split for split in reversed(PARTS) if split in by_owner)
    if "validation" not in {split for by_owner in placed.values() for split in by_owner}:
        owned = sorted(
            (group for group in placed if splits[group] == "train"), key=lambda group: _draw(rule.seed, group)
        )
        for group in owned[: round(len(owned) * rule.validation)]:
            splits[group] = "validation"
    for split, fraction in (("validation", rule.validation), ("test", rule.test)):
        if fraction > 0 and split not in splits.values() and not rule.parts:
            notes.append(f"{len(set(groups.values()))} subject(s) are too few for a {split} part")
    return {item.id: splits[groups[item.id]] for item in items}, notes


def _groups(
    items: list[LayoutItem], patients: Mapping[str, str], lookalikes: Iterable[tuple[str, str]]
) -> dict[str, str]:
    """Item id -> the name of its group: of those joined, the first subject."""
    root: dict[str, str] = {}

    def top(name: str) -> str:
        while root.setdefault(name, name) != name:
            name = root[name]
        return name

    def join(name: str, other: str) -> None:
        first, second = sorted((top(name), top(other)))
        root[second] = first

    subject = {item.id: f"subject {item.subject or item.id}" for item in items}
    of_patient: dict[str, str] = {}
    for item in items:
        top(subject[item.id])
        if patient := patients.get(item.id):
            join(subject[item.id], of_patient.setdefault(patient, subject[item.id]))
    for item_id, other in lookalikes:
        join(subject[item_id], subject[other])
    return {item.id: top(subject[item.id]) for item in items}


def _owners(item: LayoutItem, rule: SplitRule, lists: Mapping[str, frozenset[str]]) -> set[str]:
    """The splits its owner put it in. Raises UsageError for one the card does not know."""
    wanted = {key.lower(): split for key, split in rule.parts.items()}
    if wanted and item.part:
        if item.part.lower() not in wanted:
            choices = ", ".join(rule.parts)
            raise UsageError(f"split.parts: {item.files[IMAGE][0]} is of part {item.part!r}; the card knows {choices}")
        return {wanted[item.part.lower()]}
    path = PurePosixPath(item.files[IMAGE][0].lower())
    return {split for split, names in lists.items() if path.name in names or path.stem in names}


def _draw(seed: int, group: str) -> str:
    return hashlib.sha256(f"{seed}:{group}".encode()).hexdigest()
