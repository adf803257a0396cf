"""Folders that hold for a while what an archive gave, and where it came from: private, and gone afterwards."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from medsr.io.lock import HeldError, held

PREFIX = "medsr-archive-"
NEW = 60.0
"""Seconds for which a folder that nobody holds may be just about to be held."""


@dataclass(frozen=True)
class Origin:
    """Where a series came from; an address holds no secret."""

    address: str
    study: str
    series: str

    def as_dict(self) -> dict[str, str]:
        return asdict(self)


_folders: dict[Path, dict[str, Origin]] = {}
"""The folders that are there now, with the origin of each series by the name of its folder."""


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """A folder that only this user can open, removed at the end and on SIGTERM.

    What a process that was killed (SIGKILL) has left is removed by the next one: nobody holds that folder any more.
    """
    remove_abandoned()
    folder = Path(tempfile.mkdtemp(prefix=PREFIX)).resolve()
    try:
        with held(folder):
            _folders[folder] = {}
            yield folder
    finally:
        _folders.pop(folder, None)
        shutil.rmtree(folder, ignore_errors=True)


def remove_abandoned() -> None:
    """Remove folders of processes that have ended without doing so."""
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        with suppress(OSError, HeldError):
            if folder.is_symlink() or time.time() - folder.stat().st_mtime < NEW:
                continue
            with held(folder, wait=False):
                shutil.rmtree(folder, ignore_errors=True)


def note_origin(folder: Path, origin: Origin) -> None:
    """Remember where the series in `folder`, which lies in a temporary one, came from."""
    _folders[folder.parent][folder.name] = origin


def origin_of(path: Path) -> Origin | None:
    """Where a file or folder came from; None for what lies on this machine."""
    for root, origins in _folders.items():
        if path != root and path.is_relative_to(root):
            return origins.get(path.relative_to(root).parts[0])
    return None


def without_temporary(text: str) -> str:
    """`text` with what was fetched named by its series: nobody finds a folder that is gone."""
    for root in _folders:
        text = text.replace(f"{root}/", "").replace(str(root), "the archive")
    return text
