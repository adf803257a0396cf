"""Lesions that a reader outlined, on the page: what is left of each, by its size."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from medsr.commands.evaluate.lesions import real_tables
from medsr.commands.evaluate.lesions.figures import colours, plain
from medsr.commands.evaluate.lesions.real_lesions import RealLesion
from medsr.commands.evaluate.lesions.result import GROUND_TRUTH, LesionEvaluation
from medsr.report.page import Picture, Section, Table, drawing

LIMITS = (-0.5, 2.0)
EXPLAINED = (
    "A reader outlined these lesions; nothing was drawn. Contrast is the mean of the lesion minus the middle value of "
    "the tissue around it. Extent is how much of the image lies beyond half of the true contrast. Both are shown in "
    "parts of the ground truth's. A lesion that hardly stands out in the ground truth is left out."
)


def real_section(result: LesionEvaluation) -> Section:
    """What became of the real lesions."""
    notes = [f"{note[0].upper()}{note[1:]}." for note in real_tables.remarks(result)]
    words = [f"{real_tables.counted(result)}.", EXPLAINED, *notes]
    grids = [Table(header, rows, caption) for caption, header, rows in real_tables.grids(result)]
    pictures = [
        _scatter(result, lesions, what)
        for lesions in real_tables.by_unit(result).values()
        if any(lesion.stands_out for lesion in lesions)
        for what in ("contrast_kept", "extent_kept")
    ]
    return Section("Real lesions", " ".join(words), grids, pictures)


def _scatter(result: LesionEvaluation, lesions: Sequence[RealLesion], what: str) -> Picture:
    """`what`: a property of RealLesion that is 1 where nothing changed; a dot a lesion."""
    figure = Figure(figsize=(5.2, 4.0), layout="constrained")
    axes = figure.subplots()
    dots, beyond = {}, 0
    for model in real_tables.measured(result):
        own = [lesion for lesion in lesions if lesion.model == model and np.isfinite(getattr(lesion, what))]
        kept = [getattr(lesion, what) for lesion in own]
        beyond += sum(not LIMITS[0] <= share <= LIMITS[1] for share in kept)
        places = [lesion.volume for lesion in own], np.clip(kept, *LIMITS)
        dots[plain(model)] = axes.scatter(*places, s=18, color=colours(result)[model], alpha=0.7, linewidths=0)
    line = axes.axhline(1, color="black", linewidth=1)
    axes.axhline(0.5, color="black", linewidth=1.2, linestyle=":")
    axes.set_xscale("log")
    axes.set_ylim(LIMITS[0] - 0.06, LIMITS[1] + 0.06)
    axes.set_xlabel(f"size, {lesions[0].unit}")
    axes.set_ylabel(what.replace("_", " "))
    axes.grid(alpha=0.25)
    handles, names = [line, *dots.values()], [GROUND_TRUTH, *dots]
    figure.legend(handles, names, loc="outside lower center", ncols=2, frameon=False, fontsize=9)
    outside = f"; {beyond} beyond the edge are drawn at it" if beyond else ""
    return drawing(f"Real lesions: {what.replace('_', ' ')}, each lesion a dot{outside}", figure)
