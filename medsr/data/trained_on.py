"""Which images a run trains on, as it is kept with its weights."""

from __future__ import annotations

from pathlib import Path

from medsr.data import manifest
from medsr.data.file_list import HELD_OUT, TRAIN, FileList
from medsr.networks.seen_images import SeenImages, short_hash


def seen_images(files: FileList) -> SeenImages:
    """Those of a run's list. Of a prepared data set also the files that it was made of."""
    parts = {TRAIN: set[str](), HELD_OUT: set[str]()}
    origins = _origins(files)
    for entry in files.files:
        if entry.part in parts:
            hashes = {entry.sha256, *origins.get(files.path_of(entry), ())}
            parts[entry.part] |= {short_hash(sha256) for sha256 in hashes}
    return SeenImages(frozenset(parts[TRAIN]), frozenset(parts[HELD_OUT] - parts[TRAIN]))


def _origins(files: FileList) -> dict[Path, set[str]]:
    """SHA-256 of what each file of a prepared data set was made of."""
    origins: dict[Path, set[str]] = {}
    for folder in map(Path, files.folders.values()):
        for row in manifest.read(folder) or ():
            if row.file and row.source_sha256:
                origins.setdefault(folder / row.file, set()).add(row.source_sha256)
    return origins
