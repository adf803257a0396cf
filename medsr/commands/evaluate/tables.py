"""An evaluation as text: Markdown for people, CSV for programs."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from math import isfinite
from typing import Any

from medsr.commands.evaluate.benchmarks import label, split
from medsr.commands.evaluate.result import Evaluation
from medsr.commands.evaluate.verdict import verdict
from medsr.core.text import cell, shown
from medsr.metrics.bootstrap import FEW, METHOD, IntervalSummary

Grid = list[list[str]]


def grid(result: Evaluation, metrics: Sequence[str]) -> tuple[list[str], Grid]:
    """(header, rows): a row a metric, a column a model, and for each but the baseline one for its difference."""
    columns = [(result.baseline, False)]
    columns += [(model, minus) for model in result.models if model != result.baseline for minus in (False, True)]
    return _grid(result, metrics, columns)


def grids(result: Evaluation, metrics: Sequence[str]) -> list[tuple[list[str], Grid]]:
    """The same as tables for a page: with several models, means and differences apart."""
    if len(result.models) <= 2:
        return [grid(result, metrics)]
    means = [(model, False) for model in result.models]
    gains = [(model, True) for model in result.models if model != result.baseline]
    return [_grid(result, metrics, means), _grid(result, metrics, gains)]


def _grid(result: Evaluation, metrics: Sequence[str], columns: Sequence[tuple[str, bool]]) -> tuple[list[str], Grid]:
    """`columns`: model, and whether its difference to the baseline is meant."""
    apart = all(minus for _, minus in columns)
    header = ["metric"]
    for model, minus in columns:
        difference = f"{model} minus {result.baseline}" if apart else f"minus {result.baseline}"
        header.append(difference if minus else model)
    rows = []
    for key in metrics:
        digits = split(key)[0].digits
        row = [label(key)]
        for model, minus in columns:
            summary = result.differences[model].get(key) if minus else result.means[model].get(key)
            row.append(interval(summary, digits, sign="+" if minus else ""))
        rows.append(row)
    return header, rows


def interval(summary: IntervalSummary | None, digits: int, sign: str = "") -> str:
    """`33.92 [33.50, 34.31]`; a dash for what was not measured, no interval where one value cannot tell."""
    if summary is None or not isfinite(summary.mean):
        return "-"
    text = f"{summary.mean:{sign}.{digits}f}"
    if summary.low is None or summary.high is None or not (isfinite(summary.low) and isfinite(summary.high)):
        return text
    return f"{text} [{summary.low:{sign}.{digits}f}, {summary.high:{sign}.{digits}f}]"


def protocol(result: Evaluation) -> list[tuple[str, str]]:
    """Every parameter as (name, value); what was measured on, the models and their hashes."""
    lines = [("benchmark", result.benchmark), ("n", counted(result))]
    lines += [(name.replace("_", " "), _plain(value)) for name, value in result.protocol.items()]
    lines.append(("intervals", METHOD))
    for model, about in result.models.items():
        details = [f"sha256 {about['sha256']}" if about.get("sha256") else "no weights", about.get("note", "")]
        lines.append((f"model {model}", "; ".join(filter(None, details))))
    return lines


def counted(result: Evaluation) -> str:
    """How many images, how many could not be measured."""
    text = f"{len(result.ids)} image{'s' if len(result.ids) != 1 else ''}"
    return text + (f", {len(result.failed)} left out" if result.failed else "")


def remarks(result: Evaluation) -> list[str]:
    """What the reader of the table must know: models that saw the images, too few images, metrics not of all."""
    total = len(result.ids)
    notes = list(result.seen)
    if total < FEW:
        notes.append(f"with fewer than {FEW} images these intervals are too narrow")
    for key in result.metrics:
        n = result.means[result.baseline][key].n if key in result.means[result.baseline] else 0
        if n < total:
            notes.append(f"{label(key)}: on {n} of {total} images")
    return notes


def sentences(notes: Sequence[str], seen: Sequence[str]) -> str:
    """Notes as sentences that begin with a capital; those `seen` begin with the name of a model, which stays."""
    return " ".join(f"{note if note in seen else note[0].upper() + note[1:]}." for note in notes)


def text(result: Evaluation) -> str:
    """For the terminal: what it comes to, the protocol, then the table."""
    sentences = verdict(result)
    lines = [*sentences, ""] if sentences else []
    lines += [f"{name}: {value}" for name, value in protocol(result)]
    return "\n".join([*lines, "", *markdown_table(*grid(result, result.metrics)), *remarks(result)])


def markdown(result: Evaluation) -> str:
    """For a paper's repository: what it comes to, the table, then the protocol."""
    sentences = verdict(result)
    lines = [
        f"# {result.benchmark}",
        "",
        *([" ".join(sentences), ""] if sentences else []),
        *markdown_table(*grid(result, result.metrics)),
        "",
    ]
    if notes := remarks(result):
        lines += [*(f"{note}." for note in notes), ""]
    lines += ["Protocol:", "", *(f"- {name}: {value}" for name, value in protocol(result)), ""]
    if result.failed:
        lines += ["Left out:", "", *(f"- {outcome.error}" for outcome in result.failed), ""]
    lines.append(f"Measured with {', '.join(f'{name} {value}' for name, value in result.versions.items())}.")
    return "\n".join(lines) + "\n"


def csv_of_means(result: Evaluation) -> str:
    """A line for every model and metric: mean and interval, and those of the difference to the baseline."""
    header = "model metric n mean low high difference difference_low difference_high"
    rows: list[list[Any]] = [header.split()]
    for model, summaries in result.means.items():
        for key, mean in summaries.items():
            gain = result.differences.get(model, {}).get(key)
            more = [gain.mean, gain.low, gain.high] if gain else [None, None, None]
            rows.append([model, key, mean.n, mean.mean, mean.low, mean.high, *more])
    return csv_text(rows)


def csv_of_images(result: Evaluation) -> str:
    """A line for every image and model."""
    metrics = result.metrics
    rows = [["id", "model", *metrics]]
    return csv_text(rows + [[row.id, row.model, *(row.metrics.get(key) for key in metrics)] for row in result.rows])


def markdown_table(header: list[str], rows: Grid) -> list[str]:
    """A Markdown table whose columns line up."""
    header = [cell.replace("|", "\\|") for cell in header]
    widths = [max(len(row[column]) for row in [header, *rows]) for column in range(len(header))]

    def line(cells: list[str]) -> str:
        padded = [cells[0].ljust(widths[0])] + [
            cell.rjust(width) for cell, width in zip(cells[1:], widths[1:], strict=True)
        ]
        return f"| {' | '.join(padded)} |"

    rule = "|" + "|".join("-" * (width + 1) + (":" if index else "-") for index, width in enumerate(widths)) + "|"
    return [line(header), rule, *map(line, rows)]


def _plain(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def csv_text(rows: list[list[Any]]) -> str:
    """Rows as a CSV file that no spreadsheet takes for formulas."""
    stream = io.StringIO()
    cells = [[cell(shown(value)) if isinstance(value, str) else value for value in row] for row in rows]
    csv.writer(stream, lineterminator="\n").writerows(cells)
    return stream.getvalue()
