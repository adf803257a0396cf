"""What became of the data since a run began: the same, moved, or changed; and what of it a resumed run may take."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from medsr.core.errors import UsageError
from medsr.data import file_list
from medsr.data.file_list import HELD_OUT, LEFT_OUT, LOW, NEVER, TRAIN, FileEntry, FileList
from medsr.io.images import image as image_io
from medsr.recipe import Recipe

SHOWN = 4


@dataclass(frozen=True)
class Changes:
    """`there`: the files as they are now, by the entries they had. `added` have none; `missing`, `changed` had."""

    there: dict[FileEntry, FileEntry]
    added: tuple[FileEntry, ...]
    missing: tuple[FileEntry, ...]
    changed: tuple[FileEntry, ...]

    def describe(self) -> str:
        """What changed, in words; empty where nothing did."""
        groups = (("added", self.added), ("missing", self.missing), ("changed", self.changed))
        return ", ".join(f"{len(entries)} {word} ({_names(entries)})" for word, entries in groups if entries)


def settle(run: Path, recipe: Recipe, accept: bool) -> None:
    """Check the files of the list in `run` against those on the disk, in the folders that `recipe` names now.

    The same files, moved or not, renew the list. Other ones raise UsageError; with `accept` they become part of the
    list, to train on, where everything that was held out is still there. Without a list nothing is done.
    """
    recorded = file_list.read(run)
    if recorded is None:
        return
    folders = file_list.folders_of(recipe)
    if folders.keys() != recorded.folders.keys():
        raise UsageError(f"{run}: the run began with folders for {', '.join(recorded.folders)}; name all of them again")
    changes = _compare(recorded, recipe)
    if changes.describe() and not accept:
        raise UsageError(
            f"{run}: the data changed since the run began: {changes.describe()}. Put it back as it was, or give "
            "`accept_new_data`: new files are only trained on, what was held out stays held out"
        )
    renewed = replace(
        recorded, folders=folders, drawn=file_list.drawn_by(recipe), files=tuple(_accepted(changes, recipe))
    )
    lost = [entry for entry in (*changes.missing, *changes.changed) if entry.part in (HELD_OUT, LOW[HELD_OUT])]
    held_out = {entry.sha256 for entry in renewed.files if entry.part == HELD_OUT}
    lost = [entry for entry in lost if entry.sha256 not in held_out]
    if lost:
        raise UsageError(
            f"{run}: held-out files are missing or changed: {_names(tuple(lost))}; scores would not compare. Put them "
            "back, or begin a new run"
        )
    file_list.write(run, renewed)


def _compare(recorded: FileList, recipe: Recipe) -> Changes:
    folders = file_list.folders_of(recipe)
    moved = {key for key, folder in folders.items() if recorded.folders[key] != folder}
    hashes = {recorded.path_of(entry): entry for entry in recorded.files if entry.folder not in moved}
    there: dict[FileEntry, FileEntry] = {}
    missing, changed = [], []
    for entry in recorded.files:
        path = Path(folders[entry.folder]) / entry.path
        if not path.exists():
            missing += [entry] if entry.part != LEFT_OUT else []
            continue
        now = file_list.entry_of({entry.folder: folders[entry.folder]}, path, entry.part, hashes)
        there[entry] = now
        changed += [entry] if now.sha256 != entry.sha256 else []
    listed = {Path(folders[entry.folder]) / entry.path for entry in recorded.files}
    fresh = [path for path in file_list.candidates(recipe) if path.absolute() not in listed]
    added = tuple(file_list.entry_of(folders, path, TRAIN, {}) for path in fresh)
    return Changes(there, added, tuple(missing), tuple(changed))


def _accepted(changes: Changes, recipe: Recipe) -> list[FileEntry]:
    """The list of what is there now: what was held out in its order and by its content, under whichever name."""
    held_out = {entry.sha256 for entry in changes.there if entry.part == HELD_OUT}
    held_out |= {entry.sha256 for entry in changes.missing if entry.part == HELD_OUT}
    kept = {now.sha256 for was, now in changes.there.items() if was.part == HELD_OUT and now.sha256 == was.sha256}
    renamed = {entry.sha256: entry for entry in changes.added if entry.sha256 in held_out - kept}
    entries: list[FileEntry] = []
    for was, now in changes.there.items():
        shows = now.sha256 != was.sha256 and (was.part == HELD_OUT or now.sha256 in held_out)
        entries.append(replace(now, part=NEVER) if shows else now)
    for entry in changes.added:
        shows = entry.sha256 in held_out or _is_for_validation(entry, recipe)
        part = HELD_OUT if renamed.get(entry.sha256) is entry else NEVER if shows else TRAIN
        entries.append(replace(entry, part=part))
    return entries


def _is_for_validation(entry: FileEntry, recipe: Recipe) -> bool:
    """Whether a new file matches the pattern of what is held out: it is neither trained on nor held out."""
    pattern = recipe.data.validation
    if not isinstance(pattern, str) or not any(sign in pattern for sign in "*?["):
        return False
    return image_io.matches(Path(entry.path), pattern)


def _names(entries: tuple[FileEntry, ...]) -> str:
    more = f" and {len(entries) - SHOWN} more" if len(entries) > SHOWN else ""
    return ", ".join(entry.path for entry in entries[:SHOWN]) + more
