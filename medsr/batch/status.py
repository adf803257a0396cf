"""`status.tsv`: what became of every input of a batch, and what need not be done again."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from medsr.batch import journal
from medsr.batch.outcome import Outcome
from medsr.core.text import ESCAPED, cell, shown, uncelled
from medsr.core.version import __version__
from medsr.io.dicomweb.origins import without_temporary
from medsr.io.files import read_text, sha256, write_text
from medsr.io.lock import held

NAME = "status.tsv"
PICTURES = "upscale.json"
"""How the images of a folder were made (`commands.upscale.sidecar`)."""
PREPARED = "prepare.yml"
DONE, FAILED = "done", "failed"


@dataclass(frozen=True)
class StatusRow:
    """One input. `outcome`: done or failed, with the `reason`. `settings`: a hash of everything else that decides.

    `input`, `output`: names as `text.shown` writes them.
    """

    input: str
    outcome: str
    reason: str
    seconds: str
    output: str
    input_sha256: str = ""
    output_sha256: str = ""
    settings: str = ""


HEADER = [field.name for field in fields(StatusRow)]


class Status:
    """The table in a folder of results, for the time of a batch.

    A line is there as soon as its input is done. Where the process ends early an input may have two: the later counts.
    At the end of the block each has one again. Rows of other batches stay, also of those at work at the same time.
    """

    def __init__(self, folder: Path, settings: Mapping[str, Any], digest: Callable[[Path], str] = sha256) -> None:
        self.path, self.digest = folder / NAME, digest
        canonical = json.dumps({"medsr": __version__, **settings}, sort_keys=True, default=str)
        self.settings = hashlib.sha256(canonical.encode()).hexdigest()[:16]
        self.rows = _by_key(read(self.path))

    def __enter__(self) -> Status:
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(OSError):  # the lines are there already
            if self.path.is_file():
                merge(self.path, ())

    def is_done(self, source: Path, target: Path) -> bool:
        """Whether `target` was made of this very input in this very way, and is still as it was made."""
        row = self.rows.get(shown(target))
        if row is None or (row.outcome, row.settings) != (DONE, self.settings) or not target.exists():
            return False
        try:
            return row.input_sha256 == self.digest(source) and row.output_sha256 == self.digest(target)
        except OSError:  # then reading it will tell why
            return False

    def record(self, outcome: Outcome) -> None:
        """Write down what became of one input; what was skipped stays as it is."""
        if outcome.skipped:
            return
        failed = outcome.error is not None
        output = "" if outcome.output == outcome.input else shown(outcome.output)  # measuring has none
        hashes = ["", ""]
        if not failed:
            hashes = [outcome.input_sha256 or self.digest(outcome.input), outcome.output_sha256]
            if output and not outcome.output_sha256:
                hashes[1] = self.digest(outcome.output)
        reason = shown(" ".join(without_temporary(str(outcome.error or "")).split()))
        columns = (
            shown(without_temporary(str(outcome.input))),
            FAILED if failed else DONE,
            reason,
            f"{outcome.seconds:.1f}",
            output,
        )
        row = StatusRow(*columns, hashes[0], hashes[1], self.settings)
        self.rows[row.output or row.input] = row
        try:
            append(self.path, row)
        except OSError:
            if not failed:  # where nothing can be written, that is the failure reported already
                raise


def append(path: Path, row: StatusRow) -> None:
    """Add one line to a table, which begins with its header. The rows of a link become this folder's own."""
    if path.is_symlink():
        merge(path, ())
    journal.append(path, render([row], header=False).encode("utf-8", ESCAPED), render([]).encode())


def merge(path: Path, rows: Iterable[StatusRow]) -> None:
    """Bring rows into a table, one an output; whatever others have added to it meanwhile stays."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with held(path.parent):
        table = _by_key([*read(path), *rows])
        if table:
            write_text(path, render(table.values()))


def _by_key(rows: Iterable[StatusRow]) -> dict[str, StatusRow]:
    """The latest row of each output; of an input without one (it clashed, say) only while it has no other row."""
    table: dict[str, StatusRow] = {}
    for row in rows:
        key = row.output or row.input
        table.pop(key, None)
        table[key] = row
    with_output = {row.input for row in table.values() if row.output}
    return {key: row for key, row in table.items() if row.output or row.input not in with_output}


def results_in(folder: Path) -> set[str]:
    """The real paths of what `medsr upscale` made in a folder, by the tables that lie there; not by names."""
    if not folder.is_dir() or (folder / PREPARED).is_file():
        return set()
    names = [folder / name for name in pictures_in(folder)]
    for row in read(folder / NAME):
        if row.outcome == DONE and row.output:
            parts = Path(row.output).parts  # relative to where that run was begun
            names += [folder.joinpath(*parts[start:]) for start in range(len(parts))]
    return {os.path.realpath(name) for name in names if os.path.isfile(name)}  # whatever stands there, too long a name


def pictures_in(folder: Path) -> dict[str, dict[str, Any]]:
    """How images of a folder were made, by name, as `upscale.json` says; nothing where it is absent or damaged."""
    try:
        summary = json.loads(read_text(folder / PICTURES))
    except (OSError, ValueError, RecursionError):
        return {}
    results = summary.get("results") if isinstance(summary, dict) and summary.get("tool") == "medsr" else None
    if not isinstance(results, dict):
        return {}
    return {name: result for name, result in results.items() if isinstance(result, dict)}


def read(path: Path) -> list[StatusRow]:
    """The rows of a table; none where there is none, or where it is not one of ours."""
    if not path.is_file():
        return []
    with path.open(encoding="utf-8", errors="backslashreplace", newline="") as stream:
        table = csv.DictReader(stream, dialect="excel-tab")
        if table.fieldnames != HEADER:
            return []
        rows = []
        with suppress(csv.Error):  # damaged: what comes before counts
            for row in table:
                if None not in row and None not in row.values():
                    rows.append(StatusRow(**{key: uncelled(text) for key, text in row.items()}))
        return rows


def render(rows: Iterable[StatusRow], header: bool = True) -> str:
    """The rows as text."""
    stream = io.StringIO()
    writer = csv.DictWriter(stream, HEADER, dialect="excel-tab", lineterminator="\n")
    if header:
        writer.writeheader()
    writer.writerows({key: cell(shown(text)) for key, text in asdict(row).items()} for row in rows)
    return stream.getvalue()
