"""Names that were read back from a folder somebody may have sent: only what lies in that folder is touched."""

from __future__ import annotations

import os
from pathlib import Path, PurePosixPath, PureWindowsPath


def is_confined(folder: Path, name: str) -> bool:
    """Whether `name`, relative to `folder`, stays below it: no absolute path, no `..`, no link that leads out."""
    parts = PurePosixPath(name).parts
    if not parts or ".." in parts or "\0" in name or PurePosixPath(name).is_absolute() or PureWindowsPath(name).anchor:
        return False
    return lies_below(folder, folder / name)


def lies_below(folder: Path, path: Path) -> bool:
    """Whether writing or removing `path` changes nothing outside `folder`, whatever links are on the way."""
    real = Path(os.path.realpath(path.parent)) / path.name
    return real != Path(os.path.realpath(folder)) and real.is_relative_to(os.path.realpath(folder))
