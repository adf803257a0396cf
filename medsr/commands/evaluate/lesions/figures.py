"""The drawings of an evaluation of lesions: curves against size, strips of examples, where lesions were drawn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import count
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from medsr.commands.evaluate.lesions import tables
from medsr.commands.evaluate.lesions.result import GROUND_TRUTH, Cell, LesionEvaluation, Strip
from medsr.core.text import shown
from medsr.core.types import Array
from medsr.report.page import Picture, drawing, picture

TILE = 160
"""Pixels that a section of a strip is enlarged to at least, by whole numbers."""
GAP = 8
"""Pixels between two of them."""
MARGIN = 0.2
"""Inches for the names beside them."""
SIDE = 640
"""Pixels of a picture of places, at most."""
LINES = {"integrated": 0.5, "peak": 0.5, "erased_half": 0.5, "cho_auc": 0.5, "npw_auc": 0.5}
LIMITS = {
    "erased_half": (-0.03, 1.03),
    "erased_quarter": (-0.03, 1.03),
    "cho_auc": (None, 1.02),
    "npw_auc": (None, 1.02),
}
INPUT = "input"


def colours(result: LesionEvaluation) -> dict[str, str]:
    """The ground truth black, the baseline grey, every other model its own."""
    others = ["tab:blue", "tab:orange", "tab:green", "tab:red", "tab:purple", "tab:brown", "tab:pink", "tab:cyan"]
    free = count()
    fixed = {GROUND_TRUTH: "black", result.baseline: "dimgrey"}
    return {model: fixed.get(model) or others[next(free) % len(others)] for model in result.models}


def curves(result: LesionEvaluation, cells: Sequence[Cell], measure: str) -> Picture:
    """One measure of one family against size, with intervals, a line for each model."""
    figure = Figure(figsize=(5.2, 4.0), layout="constrained")
    axes = figure.subplots()
    sizes = [cell.size for cell in cells]
    models = [model for model in result.models if model != GROUND_TRUTH or measure not in tables.KNOWN_OF_TRUTH]
    step = 0.012 * (max(sizes) - min(sizes) or 1)  # side by side, so that intervals do not hide one another
    lines: dict[str, Any] = {}
    for index, model in enumerate(models):
        if (line := _line(axes, result, cells, measure, model, (index - (len(models) - 1) / 2) * step)) is not None:
            lines[plain(model)] = line
    if measure in ("integrated", "peak"):
        lines = {GROUND_TRUTH: axes.axhline(1, color="black", linewidth=1), **lines}
    if measure in LINES:
        axes.axhline(LINES[measure], color="black", linewidth=1.2, linestyle=":")
    if measure in LIMITS:
        axes.set_ylim(*LIMITS[measure])
    else:
        axes.set_ylim(bottom=min(0, axes.get_ylim()[0]))
    axes.set_xticks(sizes, [f"{size:g}" for size in sizes])
    axes.set_xlabel(f"size, {result.unit}")
    axes.set_ylabel(tables.label(result, measure))
    axes.grid(alpha=0.25)
    figure.legend(list(lines.values()), list(lines), loc="outside lower center", ncols=2, frameon=False, fontsize=9)
    return drawing(f"{cells[0].family}: {tables.label(result, measure)}", figure)


def _line(
    axes: Axes, result: LesionEvaluation, cells: Sequence[Cell], measure: str, model: str, offset: float
) -> Any | None:
    means = {cell.size: mean for cell in cells if (mean := result.mean(model, cell, measure)) is not None}
    if not means:
        return None
    known = any(mean.low is not None for mean in means.values())
    lows = [mean.mean - (mean.low if mean.low is not None else mean.mean) for mean in means.values()]
    highs = [(mean.high if mean.high is not None else mean.mean) - mean.mean for mean in means.values()]
    return axes.errorbar(
        [size + offset for size in means],
        [mean.mean for mean in means.values()],
        yerr=np.nan_to_num(np.maximum([lows, highs], 0)) if known else None,
        color=colours(result)[model],
        linestyle="--" if model == result.baseline else "-",
        marker="o",
        markersize=4,
        linewidth=1.6,
        elinewidth=1.2,
        capsize=3,
    )


def strip(result: LesionEvaluation, example: Strip) -> Picture:
    """A row each for the ground truth, the input and every model: with the lesion, without it, their difference."""
    order = [GROUND_TRUTH, INPUT, *(model for model in result.models if model != GROUND_TRUTH)]
    names = [name for name in order if name in example.present and name in example.absent]
    window = _window(example)
    changes = {name: (example.present[name] - example.absent[name]).mean(axis=2) for name in names}
    strongest = float(np.abs(changes.get(GROUND_TRUTH, next(iter(changes.values())))).max()) or 1.0
    rows = []
    for name in names:
        sections = [_windowed(kept[name], window) for kept in (example.present, example.absent)]
        rows.append([*sections, _diverging(changes[name] / strongest)])
    where = f"{example.cell.family}, {tables.named(result, example.cell)}"
    return drawing(f"{where}, in {example.subject}", _labelled(rows, [plain(name, 17) for name in names]))


def _labelled(rows: Sequence[Sequence[Array]], names: Sequence[str]) -> Figure:
    """All of it one image, because a drawing with many is slow; names beside it."""
    times = max(1, -(-TILE // max(rows[0][0].shape[:2])))
    tiles = [[tile.repeat(times, 0).repeat(times, 1) for tile in row] for row in rows]
    height, width = tiles[0][0].shape[:2]
    whole = np.ones((len(rows) * (height + GAP) - GAP, 3 * (width + GAP) - GAP, 3), np.float32)
    for down, row in enumerate(tiles):
        for right, tile in enumerate(row):
            top, left = down * (height + GAP), right * (width + GAP)
            whole[top : top + height, left : left + width] = tile
    inch = 3.2 / whole.shape[1]  # of one pixel
    wide, high = whole.shape[1] * inch + MARGIN, whole.shape[0] * inch + MARGIN
    figure = Figure(figsize=(wide, high))
    axes = figure.add_axes((MARGIN / wide, 0, 1 - MARGIN / wide, 1 - MARGIN / high))
    axes.imshow(whole.clip(0, 1), interpolation="none")
    axes.set_axis_off()
    for right, title in enumerate(("with lesion", "without", "difference")):
        axes.text(right * (width + GAP) + width / 2, -GAP, title, ha="center", va="bottom", fontsize=7)
    for down, name in enumerate(names):
        middle = down * (height + GAP) + height / 2
        axes.text(-GAP, middle, name, ha="right", va="center", rotation=90, fontsize=7)
    return figure


def _window(example: Strip) -> tuple[float, float]:
    """From the darkest to the brightest of the ground truth, for grey pictures; colours stay as they are."""
    truths = [kept[GROUND_TRUTH] for kept in (example.present, example.absent) if GROUND_TRUTH in kept]
    if not truths or truths[0].shape[2] == 3:
        return 0.0, 1.0
    low, high = min(float(truth.min()) for truth in truths), max(float(truth.max()) for truth in truths)
    return (low, high) if high > low else (0.0, 1.0)


def _windowed(section: Array, window: tuple[float, float]) -> Array:
    low, high = window
    grey: Array = ((section - low) / (high - low)).clip(0, 1)
    return grey.repeat(3, axis=2) if grey.shape[2] == 1 else grey


def _diverging(change: Array) -> Array:
    return np.asarray(colormaps["RdBu_r"](change.clip(-1, 1) / 2 + 0.5)[:, :, :3], np.float32)


def places(pictures: Mapping[str, Array]) -> list[Picture]:
    """As they are, large ones made smaller."""
    return [picture(subject, _shrunk(colour)) for subject, colour in pictures.items()]


def _shrunk(colour: Array) -> Array:
    from PIL import Image as Pillow

    if max(colour.shape[:2]) <= SIDE:
        return colour
    small = Pillow.fromarray(np.rint(colour.clip(0, 1) * 255).astype(np.uint8))
    small.thumbnail((SIDE, SIDE))
    return np.asarray(small, np.float32) / np.float32(255)


def plain(name: str, longest: int = 40) -> str:
    """A name for matplotlib, which takes what stands between two dollars for a formula."""
    name = shown(name)
    return (name if len(name) <= longest else f"{name[: longest - 1]}…").replace("$", r"\$")
