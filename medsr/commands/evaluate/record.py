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
from medsr.commands.evaluate.benchmarks import split
from medsr.commands.evaluate.case import Item
from medsr.commands.evaluate.result import ImageScores
from medsr.io.volumes.volume_files import digest

NAME = "measured.jsonl"


@dataclass(frozen=True)
class Fingerprint:
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
    """`settings`: protocol and models. `resume`: keep the figures of before; those measured otherwise, or on
    another image, are never reused."""

    def __init__(self, folder: Path, settings: Mapping[str, Any], resume: bool) -> None:
        self.status, self.models = Status(folder, settings), list(settings["models"])
        if not resume:
            (folder / NAME).unlink(missing_ok=True)
        self.journal = Journal(folder / NAME)

    def __enter__(self) -> Record:
        return self

    def __exit__(self, *_: object) -> None:
        self.status.__exit__()

    def fingerprint(self, item: Item) -> Fingerprint:
        """What identifies an image. Taken before it is measured: it may be gone afterwards."""
        try:
            hashes = digests(item)
        except OSError:  # measuring it will tell why
            hashes = {}
        files = " ".join(f"{role}:{sha256}" for role, sha256 in sorted(hashes.items()))
        return Fingerprint(f"{self.status.settings} {item.id} {files}", hashes.get("image", ""))

    def measured(self, item: Item, fingerprint: Fingerprint) -> list[ImageScores]:
        """The rows of an image measured before; none where it was not."""
        record = self.journal.records.get(fingerprint.key)
        try:
            rows = [_Row.model_validate(row) for row in record["rows"]] if record else []
            for name in {name for row in rows for name in row.metrics}:
                split(name)
        except (ValueError, KeyError, TypeError):  # damaged: measured again
            return []
        if [row.model for row in rows] != self.models:
            return []
        return [ImageScores(item.id, row.model, row.metrics) for row in rows]

    def add(self, fingerprint: Fingerprint, rows: Sequence[ImageScores], outcome: Outcome) -> None:
        """Remember what became of an image."""
        self.status.record(replace(outcome, input_sha256=fingerprint.image))
        if rows:
            entries = [{"model": row.model, "metrics": dict(row.metrics)} for row in rows]
            self.journal.add(fingerprint.key, {"rows": entries})
