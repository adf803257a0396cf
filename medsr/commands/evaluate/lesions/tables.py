"""An evaluation of lesions as text: for the terminal, Markdown for people, CSV for programs."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite
from typing import Any

from medsr.commands.evaluate.lesions import real_tables
from medsr.commands.evaluate.lesions.result import GROUND_TRUTH, MEASURES, Cell, LesionEvaluation
from medsr.commands.evaluate.lesions.verdict import groups, verdict
from medsr.commands.evaluate.tables import Grid, csv_text, interval, markdown_table
from medsr.core.text import names_only, shown
from medsr.metrics.bootstrap import FEW, METHOD

SHORT = ("integrated", "erased_half", "cho_d", "false_finds", "invented")
"""What is shown first."""
INTERVALS = METHOD.replace("over images", "over subjects")
KNOWN_OF_TRUTH = ("integrated", "peak", "erased_half", "erased_quarter", "invented")
"""Measures in which the ground truth has the best figure by definition."""
FINDS = ("false_finds", "invented")


def compared(result: LesionEvaluation) -> list[str]:
    """Models beside the ground truth and the baseline."""
    return [model for model in result.models if model not in (GROUND_TRUTH, result.baseline)]


def label(result: LesionEvaluation, measure: str) -> str:
    """`false finds per 100 ml`."""
    name = MEASURES[measure].label
    if measure == "displacement":
        return f"{name}, {result.unit}"
    return f"{name} per {result.per}" if measure in FINDS else name


def measured(result: LesionEvaluation, cells: Sequence[Cell], measures: Sequence[str] = tuple(MEASURES)) -> list[str]:
    """Those of `measures` that any model has in any of `cells`."""
    return [
        measure
        for measure in measures
        if any(result.values(model, cell, measure) for model in result.models for cell in cells)
    ]


def grid(result: LesionEvaluation, cells: Sequence[Cell], measures: Sequence[str]) -> tuple[list[str], Grid]:
    """(header, rows): a row a measure and cell, a column a model."""
    rows = [
        [
            f"{label(result, measure)}, {named(result, cell)}",
            *(interval(result.mean(model, cell, measure), MEASURES[measure].digits) for model in result.models),
        ]
        for measure in measures
        for cell in cells
    ]
    return ["", *result.models], rows


def sizes_grid(result: LesionEvaluation, cells: Sequence[Cell], measure: str) -> tuple[list[str], Grid]:
    """(header, rows): a row a cell, how many lesions it has, a column a model.

    The ground truth has none where its figure is known.
    """
    digits = MEASURES[measure].digits
    models = [model for model in result.models if model != GROUND_TRUTH or measure not in KNOWN_OF_TRUTH]
    rows = [
        [
            f"{cell.family}, {named(result, cell)}",
            str(lesions(result, cell)),
            *(interval(result.mean(model, cell, measure), digits) for model in models),
        ]
        for cell in cells
    ]
    return ["", "lesions", *models], rows


def differences_grid(result: LesionEvaluation, cells: Sequence[Cell], measure: str) -> tuple[list[str], Grid]:
    """(header, rows): a row a cell, a column a model minus the baseline."""
    models = compared(result)
    digits = MEASURES[measure].digits
    rows = [
        [
            f"{cell.family}, {named(result, cell)}",
            *(interval(result.difference(model, cell, measure), digits, sign="+") for model in models),
        ]
        for cell in cells
    ]
    return ["", *(f"{model} minus {result.baseline}" for model in models)], rows


def named(result: LesionEvaluation, cell: Cell) -> str:
    """`3 mm`, `3 mm, contrast -0.3`."""
    size = f"{cell.size:g} {result.unit}"
    return size if cell.contrast is None else f"{size}, contrast {cell.contrast:+g}"


def lesions(result: LesionEvaluation, cell: Cell) -> int:
    """How many of that cell were drawn: as many for every model."""
    return max((result.count(model, cell) for model in result.models), default=0)


def counted(result: LesionEvaluation) -> str:
    """How many lesions in how many subjects, how many could not be measured."""
    drawn = sum(lesions(result, cell) for cells in groups(result).values() for cell in cells)
    many = len(result.subjects)
    text = f"{drawn} lesion{'s' if drawn != 1 else ''} drawn into {many} subject{'s' if many != 1 else ''}"
    return text + (f", {len(result.failed)} left out" if result.failed else "")


def protocol(result: LesionEvaluation) -> list[tuple[str, str]]:
    """Every parameter as (name, value); what was measured on, the models and their hashes."""
    lines = [("kind", result.kind), ("n", counted(result))]
    lines += [(name.replace("_", " "), _plain(value)) for name, value in result.protocol.items() if name != "kind"]
    lines += [("intervals", INTERVALS), ("compared to", result.baseline)]
    for model, about in result.models.items():
        if model != GROUND_TRUTH:
            details = [f"sha256 {about['sha256']}" if about.get("sha256") else "no weights", about.get("note", "")]
            lines.append((f"model {model}", "; ".join(filter(None, details))))
    return [(shown(name), names_only(shown(value))) for name, value in lines]


def remarks(result: LesionEvaluation) -> list[str]:
    """What the reader of the tables must know: models that saw the images, too few subjects, sizes not of all."""
    total = len(result.subjects)
    notes = list(result.seen)
    if total == 1:
        notes.append("one subject has no interval, and cannot tell whether a difference is due to chance")
    elif total < FEW:
        notes.append(f"with fewer than {FEW} subjects these intervals are too narrow")
    for cells in groups(result).values():
        for cell in cells:
            n = len(result.values(result.baseline, cell, "integrated"))
            if n < total:
                notes.append(f"{cell.family}, {named(result, cell)}: in {n} of {total} subjects")
    return notes


def text(result: LesionEvaluation) -> str:
    """For the terminal: the protocol, a small table for each family and of real lesions, the verdicts."""
    lines = [f"{name}: {value}" for name, value in protocol(result)]
    for family, cells in groups(result).items():
        header, rows = grid(result, cells, measured(result, cells, SHORT))
        lines += ["", *_table([family, *header[1:]], rows)]
    if result.real:
        lines += ["", f"real lesions: {real_tables.counted(result)}"]
    for caption, header, rows in real_tables.grids(result, ["contrast", "erased"]):
        lines += ["", shown(caption), *_table(header, rows)]
    lines += ["", *(f"{shown(model)}: {verdict(result, model)}" for model in [result.baseline, *compared(result)])]
    return "\n".join([*lines, *remarks(result), *real_tables.remarks(result)])


def markdown(result: LesionEvaluation) -> str:
    """For a paper's repository: the verdicts, every table, the protocol."""
    lines = [f"# Lesions: {result.kind}", ""]
    for model in [result.baseline, *compared(result)]:
        lines += [f"**{shown(model)}**: {verdict(result, model)}", ""]
    if notes := remarks(result):
        lines += [*(f"{note[0].upper()}{note[1:]}." for note in notes), ""]
    for family, cells in groups(result).items():
        header, rows = grid(result, cells, measured(result, cells))
        lines += [f"## {family}", "", *_table(header, rows), ""]
        if compared(result):
            lines += [f"Contrast kept, difference to {shown(result.baseline)}:", ""]
            lines += [*_table(*differences_grid(result, cells, "integrated")), ""]
    if result.real:
        lines += ["## Real lesions", "", f"{real_tables.counted(result)}.", ""]
        lines += [f"{note[0].upper()}{note[1:]}." for note in real_tables.remarks(result)]
    for caption, header, rows in real_tables.grids(result):
        lines += ["", f"{shown(caption)}:", "", *_table(header, rows)]
    lines += ["", "Protocol:", "", *(f"- {name}: {value}" for name, value in protocol(result)), ""]
    if result.failed:
        lines += ["Left out:", "", *(f"- {names_only(shown(outcome.error))}" for outcome in result.failed), ""]
    lines.append(f"Measured with {', '.join(f'{name} {value}' for name, value in result.versions.items())}.")
    return "\n".join(lines) + "\n"


def csv_of_figures(result: LesionEvaluation) -> str:
    """A line for every cell, model and measure: mean and interval, and those of the difference to the baseline.

    `contrast` is `all` where all contrasts of a size are taken together.
    """
    header = "family size contrast model measure lesions n mean low high difference difference_low difference_high"
    rows: list[list[Any]] = [header.split()]
    for cell in result.cells:
        for model in result.models:
            for measure in MEASURES:
                mean = result.mean(model, cell, measure)
                if mean is None:
                    continue
                gain = result.difference(model, cell, measure) if model != result.baseline else None
                more = [gain.mean, gain.low, gain.high] if gain else [None, None, None]
                figures = [mean.n, mean.mean, mean.low, mean.high, *more]
                rows.append([*_columns(cell), model, measure, result.count(model, cell), *map(_number, figures)])
    return csv_text(rows)


def csv_of_scores(result: LesionEvaluation) -> str:
    """A line for every subject, model, cell and measure; no value where it is not defined."""
    rows: list[list[Any]] = ["subject model family size contrast measure lesions value".split()]
    for score in result.scores:
        line = [score.subject, score.model, *_columns(score.cell), score.measure, score.n, _number(score.value)]
        rows.append(line)
    return csv_text(rows)


def _table(header: Sequence[str], rows: Grid) -> list[str]:
    return markdown_table([shown(name) for name in header], rows)


def _columns(cell: Cell) -> list[Any]:
    return [cell.family, cell.size, "all" if cell.contrast is None else cell.contrast]


def _number(value: float | None) -> float | None:
    return value if value is not None and isfinite(value) else None


def _plain(value: Any) -> str:
    if isinstance(value, dict):
        return "; ".join(f"{name} {_plain(part)}" for name, part in value.items())
    if isinstance(value, (list, tuple)):
        return ", ".join(map(_plain, value))
    return f"{value:g}" if isinstance(value, float) else str(value)
