"""The figures of scans that were put together, as a table of plain lines."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

HEADER = ("scan", "plane", "slices", "moved by", "similarity", "gain", "residual", "noise", "share")
LEGEND = (
    "similarity: correlation with the first scan, before and after registration",
    "residual: of each scan, what acquiring the result again leaves, in % of the range of intensities;",
    "          of the average of all scans, then of the result",
)


def row(stack: dict[str, Any], first: bool) -> tuple[str, ...]:
    """One scan's figures, as the sidecar has them, in words, in the order of `HEADER`."""
    slices = f"{stack['thickness_mm']:.3g} mm every {stack['distance_mm']:.3g} mm"
    moved = "the first" if first else f"{stack['shift_mm']:.2f} mm, {stack['rotation_degrees']:.2f} deg"
    before, after = stack["similarity_before"], stack["similarity_after"]
    similarity = "-" if before is None or after is None else f"{before:.3f} to {after:.3f}"
    residual = f"{stack['residual_before']:.2f} to {stack['residual_after']:.2f} %"
    figures = (f"{stack['gain']:.4g}", residual, f"{stack['noise']:.2f} %", f"{100 * stack['share']:.0f} %")
    return stack["name"], stack["plane"], slices, moved, similarity, *figures


def rows(stacks: Sequence[dict[str, Any]]) -> list[tuple[str, ...]]:
    """Of every scan."""
    return [row(stack, number == 0) for number, stack in enumerate(stacks)]


def figure_lines(stacks: Sequence[dict[str, Any]]) -> tuple[str, ...]:
    """The table in columns, and what its words mean."""
    table = [HEADER, *rows(stacks)]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    lines = (
        "  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip() for cells in table
    )
    return *lines, *LEGEND
