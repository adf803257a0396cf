"""What was measured into a folder before, so that an evaluation that was cut short goes on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from medsr.batch.journal import Journal
from medsr.batch.outcome import Outcome
from medsr.batch.status import Status
from medsr.commands.evaluate.case import Item
from medsr.commands.evaluate.result import Row
from medsr.io.volumes.volume_files import digest
from medsr.metrics.names import split

NAME = "measured.jsonl"


@dataclass(frozen=True)
class Seen:
    """`key`: of the protocol, the models and the bytes of all files of an image. `image`: SHA-256 of its own."""

    key: str
    image: str


def digests(item: Item) -> dict[str, str]:
    """SHA-256 of the files of an image, by role. Raises OSError."""
    return {role: digest(path) for role, path in item.files.items() if path.exists()}


class _Row(BaseModel):
    model_config = ConfigDict(strict=True, allow_inf_nan=False)
    model: str
    metrics: dict[str, float]


class Record:
    """`settings`: protocol and models; figures measured otherwise, or on another image, are not taken up."""

    def __init__(self, folder: Path, settings: Mapping[str, Any], take_up: bool) -> None:
        self.status, self.models = Status(folder, settings), list(settings["models"])
        if not take_up:
            (folder / NAME).unlink(missing_ok=True)
        self.journal = Journal(folder / NAME)

    def __enter__(self) -> Record:
        return self

    def __exit__(self, *_: object) -> None:
        self.status.__exit__()

    def look(self, item: Item) -> Seen:
        """What an image is known by before it is measured: it may be gone afterwards."""
        try:
            hashes = digests(item)
        except OSError:  # measuring it will tell why
            hashes = {}
        files = " ".join(f"{role}:{known}" for role, known in sorted(hashes.items()))
        return Seen(f"{self.status.settings} {item.id} {files}", hashes.get("image", ""))

    def known(self, item: Item, seen: Seen) -> list[Row]:
        """The rows of an image measured before; none where it was not."""
        record = self.journal.records.get(seen.key)
        try:
            rows = [_Row.model_validate(row) for row in record["rows"]] if record else []
            for name in {name for row in rows for name in row.metrics}:
                split(name)
        except (ValueError, KeyError, TypeError):  # damaged: measured again
            return []
        if [row.model for row in rows] != self.models:
            return []
        return [Row(item.id, row.model, row.metrics) for row in rows]

    def add(self, seen: Seen, rows: Sequence[Row], outcome: Outcome) -> None:
        """Remember what became of an image."""
        self.status.record(replace(outcome, input_sha256=seen.image))
        if rows:
            told = [{"model": row.model, "metrics": dict(row.metrics)} for row in rows]
            self.journal.add(seen.key, {"rows": told})
