"""What became of a cohort so far: the workers' own records, gathered into one `status.tsv`."""

from __future__ import annotations

import os
import re
import shutil
from collections import defaultdict
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from medsr.batch import journal
from medsr.batch.status import DONE, FAILED, NAME, StatusRow, append, merge, read, render
from medsr.commands.cohort.plan import Plan
from medsr.commands.cohort.work import MADE, PARTS, RUNNING
from medsr.commands.upscale import sidecar
from medsr.commands.volume.files import Target
from medsr.core.text import shown
from medsr.io.files import read_text, short_stem, write_text


@dataclass(frozen=True)
class Standing:
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


def standing(plan: Plan) -> Standing:
    """Read what the workers have written down so far. Where one says done and another failed, it is done."""
    wanted = {shown(unit.target): unit.target for unit in plan.units}
    rows: dict[str, StatusRow] = {}
    for source, reason in plan.clashes:
        rows[source] = StatusRow(shown(source), FAILED, shown(reason), "0.0", "")
    running: set[int] = set()
    for part in parts(plan):
        for row in read(part / NAME):
            target = wanted.get(row.output)
            if target is not None and (target not in rows or rows[target].outcome != DONE):
                rows[target] = row
        running |= {n for n in marked(part) if 0 <= n < len(plan.units)}
    busy = sorted(n for n in running if plan.units[n].target not in rows)
    return Standing(rows, tuple(busy), len(plan.units) + len(plan.clashes))


def parts(plan: Plan) -> list[Path]:
    """The folders of all workers."""
    return sorted((plan.hidden / PARTS).glob("*"))


def marked(part: Path) -> list[int]:
    """What a worker has taken up and not put down."""
    try:
        return [int(line) for line in read_text(part / RUNNING).split()]
    except (OSError, ValueError):
        return []


def missing(plan: Plan, among: Iterable[int] | None = None) -> list[int]:
    """The numbers of those about which nothing has been written down."""
    rows = standing(plan).rows
    numbers = range(len(plan.units)) if among is None else among
    return [n for n in numbers if plan.units[n].target not in rows]


def gather(plan: Plan) -> Standing:
    """Write `status.tsv` beside the results: this cohort's rows, and those of earlier ones as they were."""
    now = standing(plan)
    merge(plan.out / NAME, now.rows.values())
    if plan.command == "upscale":
        done = {row.output for row in now.done}
        made: dict[str, Any] = {}
        for part in parts(plan):
            for output, told in journal.read(part / MADE).items():
                if shown(output) in done:
                    made |= told
        sidecar.write(plan.out, made)
    return now


def give_up(plan: Plan, numbers: Iterable[int], reason: str) -> None:
    """Write down, in the place of workers that cannot, that inputs failed."""
    units = [plan.units[n] for n in numbers]
    if not units:
        return
    place = plan.hidden / PARTS / "given-up"
    place.mkdir(parents=True, exist_ok=True)
    for unit in units:
        told = shown(f"{unit.source}: {reason}")
        append(place / NAME, StatusRow(shown(unit.source), FAILED, told, "0.0", shown(unit.target)))


def take_back(plan: Plan, todo: Iterable[int]) -> None:
    """Forget what was written down about some, which are done again."""
    again = {shown(plan.units[n].target) for n in todo}
    for part in parts(plan):
        kept = [row for row in read(part / NAME) if row.output not in again]
        write_text(part / NAME, render(kept))
        (part / RUNNING).unlink(missing_ok=True)


def sweep(plan: Plan) -> None:
    """Remove what workers that were killed had begun to write beside the results. Only when none lives any more."""
    stems: dict[Path, set[str]] = defaultdict(set)
    for unit in plan.units:
        target = Path(unit.target)
        stems[target.parent].add(short_stem(target))
        if plan.command == "volume":
            beside = Target(Path(unit.source), target, bool(plan.options.get("dicom"))).beside
            stems[target.parent] |= {short_stem(beside(ending)) for ending in (".json", "_preview.png", "_report.html")}
    for folder, known in stems.items():
        if not folder.is_dir():
            continue
        for entry in os.scandir(folder):
            left = re.fullmatch(r"\.(.+)-[a-z0-9_]{8}\.\w+", entry.name)
            with suppress(OSError):
                if entry.name.startswith(".medsr-") and entry.is_dir():
                    shutil.rmtree(entry.path)
                elif left and left[1] in known:
                    os.unlink(entry.path)
