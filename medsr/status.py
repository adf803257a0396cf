"""`status.tsv`: what became of every input of a batch, and what need not be done again."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from medsr import __version__
from medsr.io.files import sha256, write_text
from medsr.outcome import Outcome

NAME = "status.tsv"
DONE, FAILED = "done", "failed"


@dataclass(frozen=True)
class Row:
    """One input. `outcome`: done or failed, with the `reason`. `settings`: a hash of everything else that decides."""

    input: str
    outcome: str
    reason: str
    seconds: str
    output: str
    input_sha256: str = ""
    output_sha256: str = ""
    settings: str = ""


HEADER = [field.name for field in fields(Row)]


class Status:
    """The table in a folder of results, for the time of a batch.

    A line is there as soon as its input is done. Where the process ends early an input may have two: the later counts.
    At the end of the block, and when the table is next opened, each has one again. Rows of other batches stay.
    """

    def __init__(self, folder: Path, settings: Mapping[str, Any], digest: Callable[[Path], str] = sha256) -> None:
        self.path, self.digest = folder / NAME, digest
        told = json.dumps({"medsr": __version__, **settings}, sort_keys=True, default=str)
        self.settings = hashlib.sha256(told.encode()).hexdigest()[:16]
        self.rows = {row.output or row.input: row for row in read(self.path)}

    def __enter__(self) -> Status:
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(OSError):  # the lines are there already
            if self.path.is_file():
                write_text(self.path, render(self.rows.values()))

    def is_done(self, source: Path, target: Path) -> bool:
        """Whether `target` was made of this very input in this very way, and is still as it was made."""
        row = self.rows.get(str(target))
        if row is None or (row.outcome, row.settings) != (DONE, self.settings) or not target.exists():
            return False
        return row.input_sha256 == self.digest(source) and row.output_sha256 == self.digest(target)

    def record(self, outcome: Outcome) -> None:
        """Write down what became of one input; what was skipped stays as it is."""
        if outcome.skipped:
            return
        failed = outcome.error is not None
        output = "" if outcome.output == outcome.input else str(outcome.output)  # measuring has none
        hashes = ["", ""]
        if not failed:
            hashes = [self.digest(outcome.input), self.digest(outcome.output) if output else ""]
        reason = " ".join(str(outcome.error or "").split())
        told = (str(outcome.input), FAILED if failed else DONE, reason, f"{outcome.seconds:.1f}", output)
        row = Row(*told, hashes[0], hashes[1], self.settings)
        self.rows[row.output or row.input] = row
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            new = not self.path.is_file()
            with self.path.open("a", encoding="utf-8", newline="") as stream:
                stream.write(render([row], header=new))
        except OSError:
            if not failed:  # where nothing can be written, that is the failure told already
                raise


def read(path: Path) -> list[Row]:
    """The rows of a table; none where there is none, or where it is not one of ours."""
    if not path.is_file():
        return []
    with path.open(encoding="utf-8", newline="") as stream:
        table = csv.DictReader(stream, dialect="excel-tab")
        if table.fieldnames != HEADER:
            return []
        return [Row(**row) for row in table if None not in row and None not in row.values()]


def render(rows: Iterable[Row], header: bool = True) -> str:
    """The rows as text."""
    stream = io.StringIO()
    writer = csv.DictWriter(stream, HEADER, dialect="excel-tab", lineterminator="\n")
    if header:
        writer.writeheader()
    writer.writerows(asdict(row) for row in rows)
    return stream.getvalue()
