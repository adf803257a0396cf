"""What was done already, so that an interrupted run goes on where it stopped."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from medsr.io.lock import held


def read(path: Path) -> dict[str, Any]:
    """The records of a journal that somebody may be writing; nothing where there is none."""
    content = path.read_bytes() if path.is_file() else b""
    records: dict[str, Any] = {}
    for line in content[: content.rfind(b"\n") + 1].splitlines():
        try:
            key, record = json.loads(line)
        except (ValueError, TypeError, RecursionError):
            continue  # a line damaged by a crash: its work is done again
        if isinstance(key, str) and isinstance(record, dict):
            records[key] = record
    return records


def append(path: Path, lines: bytes, first: bytes = b"") -> None:
    """Add lines to a file, as long as nobody else does; half a line of a process that was killed is closed.

    `first`: what a new file begins with. A link is replaced by a new file: it may name a file of the user's elsewhere.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with held(path.parent):
        if path.is_symlink():
            path.unlink()
        with path.open("ab+") as stream:
            end = stream.seek(0, os.SEEK_END)
            if end:
                stream.seek(end - 1)
                first = b"" if stream.read(1) == b"\n" else b"\n"
            stream.write(first + lines)


class Journal:
    """Records by key, one JSON line each, written as soon as they are known. A half line at the end is forgotten."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.records = read(path)

    def add(self, key: str, record: Any) -> None:
        """Remember, here and on disk."""
        self.records[key] = record
        append(self.path, (json.dumps([key, record]) + "\n").encode())


def stamp(paths: Iterable[Path]) -> str:
    """Changes when one of the files does, or is gone."""
    return "|".join(map(_stamp, paths))


def _stamp(path: Path) -> str:
    try:
        now = path.stat()
    except OSError:  # reading it will tell why
        return f"{path.name}:gone"
    return f"{path.name}:{now.st_size}:{now.st_mtime_ns}"
