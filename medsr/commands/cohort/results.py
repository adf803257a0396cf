"""What became of a cohort so far: the workers' own records, gathered into one `status.tsv`."""

from __future__ import annotations

import os
import re
import shutil
from collections import defaultdict
from collections.abc import Collection, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from medsr.batch import journal
from medsr.batch.status import DONE, FAILED, NAME, StatusRow, append, merge, read, render
from medsr.commands.cohort.plan import CohortPlan
from medsr.commands.cohort.work import IMAGE_JOURNAL, PARTS, RUNNING
from medsr.commands.upscale import sidecar
from medsr.commands.volume.files import Target
from medsr.core.text import shown
from medsr.io.files import read_text, short_stem, write_text


@dataclass(frozen=True)
class CohortStatus:
    """How a cohort stands: a row for each input that is done or failed, and who is being worked on.

    `rows`: by the result's path, of an input that clashes by its own. `total`: of all inputs.
    """

    rows: dict[str, StatusRow]
    running: tuple[int, ...]
    total: int

    @property
    def done(self) -> list[StatusRow]:
        """Those whose result is there."""
        return [row for row in self.rows.values() if row.outcome == DONE]

    @property
    def failed(self) -> list[StatusRow]:
        """Those that failed, with the reason."""
        return [row for row in self.rows.values() if row.outcome == FAILED]


def read_status(plan: CohortPlan) -> CohortStatus:
    """Read what the workers have written down so far. Where one says done and another failed, it is done."""
    targets = {shown(item.target): item.target for item in plan.items}
    rows: dict[str, StatusRow] = {}
    for source, reason in plan.clashes:
        rows[source] = StatusRow(shown(source), FAILED, shown(reason), "0.0", "")
    running: set[int] = set()
    for folder in worker_folders(plan):
        for row in read(folder / NAME):
            target = targets.get(row.output)
            if target is not None and (target not in rows or rows[target].outcome != DONE):
                rows[target] = row
        running |= {index for index in in_progress(folder) if 0 <= index < len(plan.items)}
    unfinished = sorted(index for index in running if plan.items[index].target not in rows)
    return CohortStatus(rows, tuple(unfinished), len(plan.items) + len(plan.clashes))


def worker_folders(plan: CohortPlan) -> list[Path]:
    """The folders of all workers."""
    return sorted((plan.hidden / PARTS).glob("*"))


def in_progress(folder: Path) -> list[int]:
    """What a worker has taken up and not put down."""
    try:
        return [int(line) for line in read_text(folder / RUNNING).split()]
    except (OSError, ValueError):
        return []


def missing(plan: CohortPlan, among: Iterable[int] | None = None) -> list[int]:
    """The numbers of those about which nothing has been written down."""
    rows = read_status(plan).rows
    indices = range(len(plan.items)) if among is None else among
    return [index for index in indices if plan.items[index].target not in rows]


def gather(plan: CohortPlan) -> CohortStatus:
    """Write `status.tsv` beside the results: this cohort's rows, and those of earlier ones as they were."""
    status = read_status(plan)
    merge(plan.out / NAME, status.rows.values())
    if plan.command == "upscale":
        done = {row.output for row in status.done}
        entries: dict[str, Any] = {}
        for folder in worker_folders(plan):
            for output, entry in journal.read(folder / IMAGE_JOURNAL).items():
                if shown(output) in done:
                    entries |= entry
        sidecar.write(plan.out, entries)
    return status


def give_up(plan: CohortPlan, indices: Iterable[int], reason: str) -> None:
    """Write down, in the place of workers that cannot, that inputs failed."""
    items = [plan.items[index] for index in indices]
    if not items:
        return
    folder = plan.hidden / PARTS / "given-up"
    folder.mkdir(parents=True, exist_ok=True)
    for item in items:
        message = shown(f"{item.source}: {reason}")
        append(folder / NAME, StatusRow(shown(item.source), FAILED, message, "0.0", shown(item.target)))


def reset(plan: CohortPlan, indices: Iterable[int]) -> None:
    """Forget what was written down about some, which are done again."""
    targets = {shown(plan.items[index].target) for index in indices}
    for folder in worker_folders(plan):
        kept = [row for row in read(folder / NAME) if row.output not in targets]
        write_text(folder / NAME, render(kept))
        (folder / RUNNING).unlink(missing_ok=True)


def remove_leftovers(plan: CohortPlan) -> None:
    """Remove what processes that were killed had begun to write. Only when none lives any more."""
    stems: dict[Path, set[str]] = defaultdict(set)
    for item in plan.items:
        target = Path(item.target)
        stems[target.parent].add(short_stem(target))
        if plan.command == "volume":
            beside = Target(Path(item.source), target, bool(plan.options.get("dicom"))).beside
            stems[target.parent] |= {short_stem(beside(ending)) for ending in (".json", "_preview.png", "_report.html")}
    for folder, names in stems.items():
        _remove_temporary(folder, names)
    for folder in (plan.hidden, *worker_folders(plan)):
        _remove_temporary(folder)


def _remove_temporary(folder: Path, names: Collection[str] | None = None) -> None:
    """Remove the half-written files of those stems, and the results' half-written folders; None: of any stem."""
    for entry in os.scandir(folder) if folder.is_dir() else ():
        temporary = re.fullmatch(r"\.(.+)-[a-z0-9_]{8}(\.\w+)?", entry.name)
        with suppress(OSError):
            if entry.name.startswith(".medsr-") and entry.is_dir():
                shutil.rmtree(entry.path)
            elif temporary and (names is None or temporary[1] in names):
                os.unlink(entry.path)
