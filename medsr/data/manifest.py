"""`manifest.csv`: what is in a prepared data set, where it came from, and what was left out."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from medsr.core.errors import InputError
from medsr.core.text import cell, uncelled

NAME = "manifest.csv"


@dataclass(frozen=True)
class ManifestRow:
    """One file of a prepared data set; or, with `file` empty, one source that was left out, with the reason in `note`.

    `size`: width x height in pixels (volumes: voxels). `original`: made of the whole image at its own size. `source`:
    its place in what the owner ships, an archive counting as a folder. Hashes are SHA-256. `bits`: of a 16-bit image
    whose file cannot declare them.
    """

    file: str
    id: str
    subject: str
    part: str
    role: str
    card: str
    size: str
    original: bool
    source: str
    source_sha256: str
    sha256: str
    note: str = ""
    bits: str = ""

    @property
    def height_width(self) -> tuple[int, int]:
        """Of an image, from `size`."""
        width, height, *_ = map(int, self.size.split("x"))
        return height, width


def ordered(rows: Iterable[ManifestRow]) -> list[ManifestRow]:
    """In the order of a manifest: by file, then what was left out."""
    return sorted(rows, key=lambda row: (row.file == "", row.file, row.source))


def render(rows: Iterable[ManifestRow]) -> str:
    """As CSV, sorted: the same rows give the same text."""
    stream = io.StringIO()
    writer = csv.DictWriter(stream, [field.name for field in fields(ManifestRow)], lineterminator="\n")
    writer.writeheader()
    for row in ordered(rows):
        fields_of = {**asdict(row), "original": "yes" if row.original else "no"}
        writer.writerow({key: cell(text) if isinstance(text, str) else text for key, text in fields_of.items()})
    return stream.getvalue()


def read(folder: Path) -> list[ManifestRow] | None:
    """The rows of a prepared folder, None where there is no manifest.

    Raises InputError for one that is damaged, or that names files outside its folder.
    """
    path = folder / NAME
    if not path.is_file():
        return None
    try:
        with path.open(encoding="utf-8", newline="") as stream:
            records = [_uncelled(line) for line in csv.DictReader(stream)]
        rows = [_row(record) for record in records]
        for row in rows:
            if row.file and (".." in Path(row.file).parts or Path(row.file).is_absolute()):
                raise ValueError(f"{row.file!r} is outside the folder")
    except (TypeError, KeyError, ValueError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path}: not a manifest of medsr prepare ({error})") from error
    return rows


def bits_of(rows: Iterable[ManifestRow]) -> int | None:
    """The depth of the images whose files do not declare it; None where there are none."""
    return max((int(row.bits) for row in rows if row.bits), default=None)


def is_depth(bits: str) -> bool:
    """Whether a text is a number of bits as manifests have it: 8 to 16, or empty."""
    return not bits or (bits.isascii() and bits.isdigit() and len(bits) < 3 and 8 <= int(bits) <= 16)


def _row(record: dict[str, str]) -> ManifestRow:
    if None in record or not all(isinstance(value, str) for value in record.values()):
        raise ValueError("a line has too few or too many columns")
    row = ManifestRow(original=record.pop("original") == "yes", **record)
    if row.file and not re.fullmatch(r"[1-9][0-9]{0,8}(x[1-9][0-9]{0,8}){1,3}", row.size):
        raise ValueError(f"{row.file}: {row.size!r} is not a size")
    if not is_depth(row.bits):
        raise ValueError(f"{row.file}: {row.bits!r} is not a number of bits")
    return row


def _uncelled(row: dict[str, Any]) -> dict[str, Any]:
    return {key: uncelled(text) if isinstance(text, str) else text for key, text in row.items()}
