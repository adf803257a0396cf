"""`files.json`: the files of a run with their hashes, and which were held out, so that a resumed run has the same."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from itertools import chain
from pathlib import Path

from medsr.core.errors import InputError
from medsr.core.resources import expanded
from medsr.data import manifest
from medsr.data.own_outputs import part_own
from medsr.data.pairs import Partners
from medsr.data.sources import DataSplit
from medsr.io import scans
from medsr.io.files import write_text
from medsr.io.images import image as image_io
from medsr.io.listing import files_below
from medsr.io.volumes import volume_files
from medsr.recipe import Recipe
from medsr.recipe.degradation import low_resolution_folder

NAME = "files.json"
TRAIN, HELD_OUT, LEFT_OUT, NEVER = "train", "validation", "left out", "never"
LOW = {TRAIN: "low resolution", HELD_OUT: "low resolution of validation"}
"""`LEFT_OUT`: too small, a mask, unreadable: of a later stage it may be part. `NEVER`: it shows what is held out."""
LATER = "came after the run began"


@dataclass(frozen=True)
class FileEntry:
    """A file: the recipe's key of its `folder`, its place below it, bytes, time (ns), SHA-256, what it is used for."""

    folder: str
    path: str
    size: int
    modified: int
    sha256: str
    part: str


@dataclass(frozen=True)
class FileList:
    """`folders`: by their keys in the recipe. `drawn`: what else decides which files are held out."""

    folders: dict[str, str]
    drawn: str
    files: tuple[FileEntry, ...]

    def paths(self, part: str) -> list[Path]:
        """In the order of the list."""
        return [self.path_of(entry) for entry in self.files if entry.part == part]

    def path_of(self, entry: FileEntry) -> Path:
        """Where a file is."""
        return Path(self.folders[entry.folder]) / entry.path


def folders_of(recipe: Recipe) -> dict[str, str]:
    """The folders a recipe takes files from, absolute, by their keys."""
    low = low_resolution_folder(recipe.degradation)
    by_key = {"data.train": recipe.data.train, "degradation.low_resolution": low}
    if isinstance(recipe.data.validation, str) and expanded(recipe.data.validation).is_dir():
        by_key["data.validation"] = recipe.data.validation
    return {key: str(expanded(name).absolute()) for key, name in by_key.items() if name is not None}


def drawn_by(recipe: Recipe) -> str:
    """Seed and share, or pattern, of what is held out."""
    other = "data.validation" in folders_of(recipe)
    return f"{recipe.seed} {recipe.data.pattern} {'folder' if other else recipe.data.validation}"


def candidates(recipe: Recipe) -> list[Path]:
    """The files below `data.train` that could be ground truth, of a prepared data set those it names so."""
    folder, pattern = Path(folders_of(recipe)["data.train"]), recipe.data.pattern
    if (rows := manifest.read(folder)) is not None:
        return [folder / row.file for row in rows if row.file and row.role == "image" and row.part != "test"]
    if recipe.thick_slices:
        every = scans.paths_below(folder, pattern, results=True)[0]
    else:
        every = image_io.list_images(folder, pattern)
    return part_own(folder, every)[0]


def read(run: Path) -> FileList | None:
    """The list in a run's folder, None where there is none. Raises InputError for a damaged one."""
    path = run / NAME
    if not path.is_file():
        return None
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        files = tuple(FileEntry(**entry) for entry in content["files"])
        return FileList(dict(content["folders"]), str(content["drawn"]), files)
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise InputError(f"{path}: damaged ({error}); without it the run cannot be resumed") from error


def of(run: Path, recipe: Recipe) -> FileList | None:
    """The list in a run's folder, where it is of this recipe's data."""
    recorded = read(run)
    same = recorded is not None and (recorded.folders, recorded.drawn) == (folders_of(recipe), drawn_by(recipe))
    return recorded if same else None


def write(run: Path, files: FileList) -> None:
    """Write `known` into a run's folder."""
    write_text(run / NAME, json.dumps(asdict(files), indent=0) + "\n")


def of_split(recipe: Recipe, files: DataSplit, recorded: FileList | None) -> FileList:
    """The list of what was found. Hashes that are `known` are taken over where size and time are the same."""
    folders = folders_of(recipe)
    parts: dict[Path, str] = dict.fromkeys(candidates(recipe), LEFT_OUT)
    parts |= dict.fromkeys(recorded.paths(NEVER) if recorded else [], NEVER)
    parts |= dict.fromkeys((source.path.absolute() for source in files.train), TRAIN)
    held_out = dict.fromkeys((path.absolute() for path in files.held_out), HELD_OUT)
    low = {}
    if low_resolution_folder(recipe.degradation) is not None:
        partners = Partners(recipe)
        pairs = ((source.path, TRAIN) for source in files.train), ((path, HELD_OUT) for path in files.held_out)
        low = {partners(path).absolute(): LOW[part] for path, part in chain(*pairs)}
    every = [(path, part) for path, part in parts.items() if path not in held_out]
    every += [*held_out.items(), *low.items()]
    hashes = {recorded.path_of(entry): entry for entry in recorded.files} if recorded else {}
    entries = [_entry(folders, path, part, hashes) for path, part in every if path.exists()]
    return FileList(folders, drawn_by(recipe), tuple(entry for entry in entries if entry is not None))


def _entry(folders: dict[str, str], path: Path, part: str, hashes: dict[Path, FileEntry]) -> FileEntry | None:
    """As `entry_of`; None for what was left out and cannot be read, which must not end a run."""
    try:
        return entry_of(folders, path, part, hashes)
    except OSError:
        if part == LEFT_OUT:
            return None
        raise


def entry_of(folders: dict[str, str], path: Path, part: str, hashes: dict[Path, FileEntry]) -> FileEntry:
    """The entry of a file; hashed anew unless one in `hashes` has its size and time."""
    absolute = path.absolute()
    below = [(len(name), key) for key, name in folders.items() if absolute.is_relative_to(name)]
    key = max(below)[1]
    files = [file.stat() for file in _files(path)]
    size, modified = sum(file.st_size for file in files), max(file.st_mtime_ns for file in files)
    before = hashes.get(absolute)
    same = before is not None and (before.size, before.modified) == (size, modified)
    digest = before.sha256 if before is not None and same else volume_files.digest(path)
    return FileEntry(key, absolute.relative_to(folders[key]).as_posix(), size, modified, digest, part)


def restricted(files: DataSplit, recorded: FileList) -> DataSplit:
    """The split without what came after the run began, or shows what is held out."""
    never = {*recorded.paths(NEVER), *recorded.paths(HELD_OUT)}
    listed = {recorded.path_of(entry) for entry in recorded.files} - never
    later = dict.fromkeys(source.path for source in files.train if source.path.absolute() not in listed)
    reasons = [(path, "shows what is held out" if path.absolute() in never else LATER) for path in later]
    train = tuple(source for source in files.train if source.path not in later)
    return replace(files, train=train, skipped=(*files.skipped, *reasons))


def _files(path: Path) -> list[Path]:
    """A file, a header with its data, or the slices in a folder."""
    if path.is_dir():
        return list(files_below(path))
    return [file for file in volume_files.files_of(path) if file.is_file()] or [path]
