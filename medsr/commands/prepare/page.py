"""A prepared data set on one page."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from medsr.core.resample import resize
from medsr.data.cards import IMAGE, PARTS, Card
from medsr.data.manifest import ManifestRow
from medsr.io.images import image as image_io
from medsr.report.page import Picture, Section, Table, folder_name, picture, write_page

EXAMPLES = 4
"""Pictures shown of every split."""
SHOWN = 256
MOST_SIZES = 8


def write(path: Path, card: Card, rows: Sequence[ManifestRow], notes: Sequence[str], folder: Path) -> None:
    """Write the page: counts, what to know, examples, licence."""
    left_out = [[row.source, row.note] for row in rows if not row.file]
    sections = [Section("Parts", tables=[splits_table(rows)])]
    if notes:
        sections.append(Section("Worth knowing", tables=[Table(["", ""], [["•", note] for note in notes], text=True)]))
    if card.kind == "images":
        for part in PARTS:
            if chosen := _examples(rows, part):
                pictures = [_picture(row, folder) for row in chosen]
                sections.append(Section(f"Examples: {part}", pictures=pictures, columns=EXAMPLES))
    sections.append(Section("Sizes", tables=[_sizes(rows)]))
    if left_out:
        sections.append(Section("Left out", tables=[Table(["source", "reason"], left_out, text=True)]))
    facts = [("licence", card.licence), ("weights trained on it may be released", card.released_weights)]
    facts += [("citation", card.citation), ("where to get it", card.request)]
    table = Table(["", ""], [[name, value] for name, value in facts if value], text=True)
    sections.append(Section("The data set", card.about, [table]))
    images = sum(1 for row in rows if row.file and row.role == IMAGE)
    lead = f"{images} ground-truth files from {_subjects(rows)} subjects."
    write_page(path, f"{folder_name(folder)}: prepared ({card.title})", lead, sections)


def splits_table(rows: Sequence[ManifestRow]) -> Table:
    """Subjects, sources and files of every split."""
    table = []
    for part in PARTS:
        own = [row for row in rows if row.file and row.role == IMAGE and row.part == part]
        if own:
            sources = len({row.id for row in own})
            table.append([part, str(_subjects(own)), str(sources), str(len(own))])
    return Table(["part", "subjects", "images", "ground-truth files"], table)


def _subjects(rows: Sequence[ManifestRow]) -> int:
    return len({row.subject for row in rows if row.file})


def _sizes(rows: Sequence[ManifestRow]) -> Table:
    counted = Counter(row.size for row in rows if row.file and row.role == IMAGE).most_common()
    table = [[size, str(count)] for size, count in counted[:MOST_SIZES]]
    if rest := sum(count for _, count in counted[MOST_SIZES:]):
        table.append([f"{len(counted) - MOST_SIZES} other sizes", str(rest)])
    return Table(["size", "files"], table)


def _examples(rows: Sequence[ManifestRow], part: str) -> list[ManifestRow]:
    """Evenly spaced among the part's files of the largest kind, so that every run shows the same."""
    own = [row for row in rows if row.file and row.role == IMAGE and row.part == part]
    chosen = sorted([row for row in own if row.original] or own, key=lambda row: row.file)
    return chosen[:: max(1, len(chosen) // EXAMPLES)][:EXAMPLES]


def _picture(row: ManifestRow, folder: Path) -> Picture:
    unit = image_io.read(folder / row.file, int(row.bits) if row.bits else None).to_unit()
    factor = SHOWN / max(unit.shape[:2])
    if factor < 1:
        height, width = (max(1, round(length * factor)) for length in unit.shape[:2])
        unit = resize(unit, (height, width), "bicubic")
    return picture(f"{row.id}, {row.size}", np.asarray(unit, np.float32))
