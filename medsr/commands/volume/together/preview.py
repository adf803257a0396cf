"""`<out>_preview.png`: every scan on the common grid and the result, side by side, in all three planes."""

from __future__ import annotations

from pathlib import Path

from medsr.commands.volume.preview import draw
from medsr.commands.volume.together.pictures import StackPictures
from medsr.core.geometry import PLANES
from medsr.io.files import atomic_path

COLUMN = 4.0
"""Inches."""
LONGEST_TITLE = 32
MOST_INCHES = 40.0


def write(path: Path, pictures: StackPictures) -> None:
    """Draw the preview: a row for each plane through the middle of what is seen, a column for each volume."""
    from matplotlib.figure import Figure

    views = [pictures.view(plane, pictures.middle[PLANES.index(plane)]) for plane in reversed(PLANES)]
    columns = len(pictures.names)
    width = min(COLUMN, MOST_INCHES / columns)
    shapes = [view.images[0].shape for view in views]
    heights = [
        width * min(max(shape[0] * view.aspect / shape[1], 0.25), 4) for view, shape in zip(views, shapes, strict=True)
    ]
    size = (width * columns, sum(heights) + 0.9)
    figure = Figure(figsize=size, layout="constrained", facecolor="black")
    axes = figure.subplots(len(views), columns, gridspec_kw={"height_ratios": heights})
    for row, view in zip(axes, views, strict=True):
        for panel, image, name in zip(row, view.images, pictures.names, strict=True):
            draw(panel, image, view.plane, view.aspect)
            panel.set_title(_short(name), color="white", parse_math=False)
        row[0].set_ylabel(f"{view.plane}, slice {view.index}", color="white")
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=130, facecolor="black", metadata={"Software": "medsr"})


def _short(name: str) -> str:
    return name if len(name) <= LONGEST_TITLE else f"{name[: LONGEST_TITLE - 3]}..."
