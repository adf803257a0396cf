"""Where inputs and weights lie on this machine, kept apart from the sidecars, which travel with their results."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from pathlib import Path

from medsr.core import platform
from medsr.core.resources import home
from medsr.io.dicomweb.origins import origin_of, without_temporary
from medsr.io.files import write_text

NAME = "places.jsonl"
MOST_BYTES = 4 << 20
"""Then the older half is forgotten."""


def named_from(folder: Path, file: str | Path, digest: str | None) -> str:
    """What a sidecar in `folder` calls a file: the way to it from there; its name alone where that leads upwards.

    Folders above may bear a person's name. Then this machine remembers the file by its SHA-256, for `place_of`. What
    an archive gave is called by its series: the file will be gone.
    """
    if origin_of(Path(file)) is not None:
        return without_temporary(str(file))
    if (way := platform.way_from(folder, file)) is not None:
        return way
    path = os.path.abspath(file)
    if digest and place_of(digest) != Path(path):
        with suppress(OSError, ValueError):  # without it, `--input` says where the file is
            _add(json.dumps({"sha256": digest, "path": path}) + "\n")
    return os.path.basename(path)


def place_of(digest: str) -> Path | None:
    """Where the file of that SHA-256 was last seen, if that was written down here."""
    for line in reversed(_lines()):
        with suppress(ValueError, TypeError, KeyError, RecursionError):  # half a line of a process that was killed
            entry = json.loads(line)
            if entry["sha256"] == digest:
                return Path(entry["path"])
    return None


def _lines() -> list[str]:
    try:
        return (home() / NAME).read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []


def _add(line: str) -> None:
    path = home() / NAME
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.is_file() and path.stat().st_size > MOST_BYTES:
        lines = _lines()
        write_text(path, "".join(f"{old}\n" for old in lines[len(lines) // 2 :]))
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)  # nobody else's to read
    with os.fdopen(descriptor, "a", encoding="utf-8") as stream:
        stream.write(line)
