"""Names that were read back from a folder somebody may have sent: only what lies in that folder is touched."""

from __future__ import annotations

import os
from pathlib import Path, PurePosixPath, PureWindowsPath

from medsr.core import platform

LONGEST = 4095
LONGEST_NAME = 255
"""Bytes of a path, and of a name in it."""


def is_confined(folder: Path, name: str) -> bool:
    """Whether `name`, relative to `folder`, stays below it: no absolute path, no `..`, no link that leads out."""
    try:
        check_path(name)
    except ValueError:
        return False
    parts = PurePosixPath(name).parts
    if not parts or ".." in parts or PurePosixPath(name).is_absolute() or PureWindowsPath(name).anchor:
        return False
    if any(platform.fault_of_name(part) for part in parts):  # on Windows a:b would be written into the file a
        return False
    return lies_below(folder, folder / name)


def check_path(text: str) -> str:
    """The same text. Raises ValueError where no file can have it as its path."""
    whole = os.fsencode(text)
    if b"\0" in whole or len(whole) > LONGEST or any(len(part) > LONGEST_NAME for part in whole.split(b"/")):
        raise ValueError("not the path of a file")
    return text


def lies_below(folder: Path, path: Path) -> bool:
    """Whether writing or removing `path` changes nothing outside `folder`, whatever links are on the way."""
    real = Path(os.path.realpath(path.parent)) / path.name
    return real != Path(os.path.realpath(folder)) and real.is_relative_to(os.path.realpath(folder))
