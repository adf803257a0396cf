"""What became of a cohort so far: the workers' own records, gathered into one `status.tsv`."""

from __future__ import annotations

import glob
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from medsr.cohorts.plan import Plan
from medsr.cohorts.work import PARTS, RUNNING
from medsr.io.files import write_text
from medsr.io.volume import split_suffix
from medsr.status import DONE, FAILED, NAME, Row, read, render


@dataclass(frozen=True)
class Standing:
    """How a cohort stands: a row for each input that is done or failed, and who is being worked on."""

    rows: dict[str, Row]
    running: tuple[int, ...]
    total: int

    @property
    def done(self) -> list[Row]:
        """Those whose result is there."""
        return [row for row in self.rows.values() if row.outcome == DONE]

    @property
    def failed(self) -> list[Row]:
        """Those that failed, with the reason."""
        return [row for row in self.rows.values() if row.outcome == FAILED]


def standing(plan: Plan) -> Standing:
    """Read what the workers have written down so far."""
    wanted = {unit.target for unit in plan.units}
    rows: dict[str, Row] = {}
    running: list[int] = []
    for part in parts(plan):
        rows |= {row.output: row for row in read(part / NAME) if row.output in wanted}
        running += marked(part)
    return Standing(rows, tuple(sorted(set(running))), len(plan.units))


def parts(plan: Plan) -> list[Path]:
    """The folders of all workers, in the order they were begun."""
    return sorted((plan.hidden / PARTS).glob("*"))


def marked(part: Path) -> list[int]:
    """What a worker has taken up and not put down."""
    try:
        return [int(line) for line in (part / RUNNING).read_text().split()]
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
    path = plan.out / NAME
    rows = {row.output or row.input: row for row in read(path)} | now.rows
    write_text(path, render(rows.values()))
    return now


def sweep(plan: Plan) -> None:
    """Remove what workers that were killed had begun to write beside the results: none of them lives any more."""
    for folder in {Path(unit.target).parent for unit in plan.units}:
        for left in folder.glob(".medsr-*"):
            shutil.rmtree(left, ignore_errors=True)
    for unit in plan.units:
        target = Path(unit.target)
        for left in target.parent.glob(f".{glob.escape(split_suffix(target)[0])}*-????????.*"):
            left.unlink(missing_ok=True)


def forget(plan: Plan) -> None:
    """Begin anew: what earlier workers wrote down is in `status.tsv`."""
    shutil.rmtree(plan.hidden / PARTS, ignore_errors=True)


def give_up(plan: Plan, number: int, reason: str) -> None:
    """Write down, in the place of a worker that cannot, that an input failed."""
    unit = plan.units[number]
    place = plan.hidden / PARTS / "given-up"
    place.mkdir(parents=True, exist_ok=True)
    row = Row(unit.source, FAILED, reason, "0.0", unit.target)
    new = not (place / NAME).is_file()
    with (place / NAME).open("a", encoding="utf-8", newline="") as stream:
        stream.write(render([row], header=new))


def take_back(plan: Plan, todo: Iterable[int]) -> None:
    """Forget what was written down about some, which are done again."""
    again = {plan.units[n].target for n in todo}
    for part in parts(plan):
        kept = [row for row in read(part / NAME) if row.output not in again]
        write_text(part / NAME, render(kept))
        (part / RUNNING).unlink(missing_ok=True)
