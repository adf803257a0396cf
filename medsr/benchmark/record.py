"""What was measured into a folder before, so that an evaluation that was cut short goes on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from medsr.benchmark.case import Item
from medsr.benchmark.result import Row
from medsr.io.journal import Journal
from medsr.io.volume import digest
from medsr.outcome import Outcome
from medsr.status import Status

NAME = "measured.jsonl"


class Record:
    """`settings`: protocol and models; figures measured otherwise, or on another image, are not taken up."""

    def __init__(self, folder: Path, settings: Mapping[str, Any], take_up: bool) -> None:
        self.status = Status(folder, settings)
        if not take_up:
            (folder / NAME).unlink(missing_ok=True)
        self.journal = Journal(folder / NAME)

    def __enter__(self) -> Record:
        return self

    def __exit__(self, *_: object) -> None:
        self.status.__exit__()

    def known(self, item: Item) -> list[Row]:
        """The rows of an image measured before; none where it was not."""
        found = self.journal.records.get(self._key(item)) if self.journal.records else None
        return [Row(item.id, one["model"], one["metrics"]) for one in found["rows"]] if found else []

    def add(self, item: Item, rows: Sequence[Row], outcome: Outcome) -> None:
        """Remember what became of an image."""
        self.status.record(outcome)
        if rows:
            told = [{"model": row.model, "metrics": dict(row.metrics)} for row in rows]
            self.journal.add(self._key(item), {"rows": told})

    def _key(self, item: Item) -> str:
        files = " ".join(f"{role}:{digest(path)}" for role, path in sorted(item.files.items()) if path.exists())
        return f"{self.status.settings} {item.id} {files}"
