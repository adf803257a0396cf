"""Lesions that a reader outlined, as tables: what is left of them, by their size."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from medsr.commands.evaluate.lesions.real_lesions import RealLesion
from medsr.commands.evaluate.lesions.real_summary import ALL, SizeSummary, by_size
from medsr.commands.evaluate.lesions.result import GROUND_TRUTH, LesionEvaluation
from medsr.commands.evaluate.tables import Grid, interval

COLUMNS: Mapping[str, tuple[Callable[[SizeSummary], str], str]] = {
    "contrast": (lambda row: interval(row.contrast_kept, 3), "contrast kept, mean over the lesions"),
    "gain": (lambda row: interval(row.gain, 3, sign="+"), "contrast kept, difference to {} on the same lesions"),
    "erased": (lambda row: f"{row.erased_half:.3f}", "share of lesions that keep less than half of their contrast"),
    "extent": (lambda row: interval(row.extent_kept, 3), "extent kept, mean over the lesions"),
    "lost": (lambda row: f"{row.lost:.3f}", "share of lesions of which nothing lies beyond half of the contrast"),
}
"""By name: what stands in a cell, and what the table is called."""
WITHIN = "intervals of real lesions are over lesions, not over subjects: they speak of these subjects alone"


def grids(result: LesionEvaluation, names: Sequence[str] = tuple(COLUMNS)) -> list[tuple[str, list[str], Grid]]:
    """(caption, header, rows): a row a size class, a column a model. `names`: of COLUMNS."""
    tables = []
    for unit, lesions in by_unit(result).items():
        summaries = by_size(lesions, result.baseline)
        for name in names if summaries else ():
            show, caption = COLUMNS[name]
            models = [model for model in measured(result) if name != "gain" or model != result.baseline]
            if models:
                header = [f"size, {unit}", "lesions", *models]
                tables.append(
                    (f"Real lesions: {caption.format(result.baseline)}", header, _rows(summaries, models, show))
                )
    return tables


def by_unit(result: LesionEvaluation) -> dict[str, list[RealLesion]]:
    """Areas and volumes apart."""
    units = dict.fromkeys(lesion.unit for lesion in result.real)
    return {unit: [lesion for lesion in result.real if lesion.unit == unit] for unit in units}


def measured(result: LesionEvaluation) -> list[str]:
    """Models that real lesions were measured in, without the ground truth, which keeps all of each."""
    models = {lesion.model for lesion in result.real}
    return [model for model in result.models if model != GROUND_TRUTH and model in models]


def counted(result: LesionEvaluation) -> str:
    """How many real lesions in how many subjects, how many can be measured."""
    every = {(lesion.subject, lesion.number) for lesion in result.real}
    clear = {(lesion.subject, lesion.number) for lesion in result.real if lesion.stands_out}
    subjects = len({subject for subject, _ in every})
    words = f"{len(every)} lesion{'s' if len(every) != 1 else ''} in {subjects} subject{'s' if subjects != 1 else ''}"
    return f"{words}, of which {len(clear)} stand{'s' if len(clear) == 1 else ''} out from the tissue"


def remarks(result: LesionEvaluation) -> list[str]:
    """What the reader of the tables must know."""
    rows = [row for lesions in by_unit(result).values() for row in by_size(lesions, result.baseline)]
    return [WITHIN] if any(row.over == "lesions" for row in rows) else []


def _rows(summaries: Sequence[SizeSummary], models: Sequence[str], show: Callable[[SizeSummary], str]) -> Grid:
    cells = {(row.size, row.model): row for row in summaries}
    rows = []
    for size in dict.fromkeys(row.size for row in summaries):
        count = max(row.lesions for row in summaries if row.size == size)
        filled = [show(cells[size, model]) if (size, model) in cells else "-" for model in models]
        rows.append(["all sizes" if size == ALL else size, str(count), *filled])
    return rows
