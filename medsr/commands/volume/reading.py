"""A scan and the digest of the very files it was read from."""

from __future__ import annotations

from pathlib import Path

from medsr.io.files import read_unchanged
from medsr.io.volumes import volume as volume_io
from medsr.io.volumes import volume_files
from medsr.io.volumes.base import GeometryChoice, Volume


def read_scan(path: Path, series: str | None, choice: GeometryChoice) -> tuple[Volume, str]:
    """The scan, and its digest. In a folder of slices our own results may change meanwhile, for other scans.

    Raises InputError, also where the files changed while they were read.
    """
    taken: list[dict[Path, str]] = []

    def digest(path: Path) -> dict[Path, str]:
        taken.append(volume_files.hashes(path))
        return {file: sha256 for file, sha256 in taken[-1].items() if file in taken[0] and not _is_ours(file)}

    scan, _ = read_unchanged(path, digest, lambda: volume_io.read(path, series, choice))
    return scan, volume_files.digest_of(taken[0])


def _is_ours(file: Path) -> bool:
    """Whether a file below a folder of slices is not a slice: it is a result, a table or a page."""
    return volume_files.is_volume(file) or file.suffix.lower() in (".tsv", ".json", ".html", ".png")
