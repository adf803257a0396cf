"""`<out>_preview.png`: three orthogonal views, interpolated beside super-resolved, zoomed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from medsr.commands.volume.pictures import EDGES, Pictures, View
from medsr.core.geometry import PLANES, Plane
from medsr.io.files import atomic_path

ZOOM = 0.42
"""Side of the zoomed part, as a fraction of the view's."""


def write(path: Path, pictures: Pictures, model: str) -> None:
    """Draw the preview: a row for each plane through the middle of what is seen; whole, then both zoomed."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12, 12.6), layout="constrained", facecolor="black")
    axes = figure.subplots(3, 3)
    middle = pictures.middle()
    for row, plane in zip(axes, reversed(PLANES), strict=True):
        axis = PLANES.index(plane)
        first, second = (n for n in range(3) if n != axis)
        view = pictures.view(plane, middle[axis])
        box = _box(view, (view.after.shape[1] - middle[first], view.after.shape[0] - middle[second]))
        draw(row[0], view.after, view.plane, view.aspect)
        _frame(row[0], box)
        row[0].set_title(f"{plane}, slice {view.index}", color="white")
        for panel, image, title in (
            (row[1], view.before, "nearest neighbour" if pictures.labels else "cubic B-spline"),
            (row[2], view.after, model),
        ):
            draw(panel, image, view.plane, view.aspect, box)
            panel.set_title(title, color="white")
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=110, facecolor="black", metadata={"Software": "medsr"})


def _box(view: View, centre: tuple[int, int]) -> tuple[float, float, float, float]:
    """(left, right, upper, lower) of the zoomed part: square in millimetres, within the view."""
    height, width = view.after.shape
    side = ZOOM * min(width, height * view.aspect)
    half = (side / 2, side / 2 / view.aspect)
    x = min(max(centre[0], half[0]), width - half[0])
    y = min(max(centre[1], half[1]), height - half[1])
    return x - half[0], x + half[0], y - half[1], y + half[1]


def draw(
    panel: Any, image: Any, plane: Plane, aspect: float, box: tuple[float, float, float, float] | None = None
) -> None:
    """A slice in its panel: all of it with the letters of its edges, or what lies in the `box`."""
    panel.imshow(image, cmap="gray", vmin=0, vmax=1, aspect=aspect, interpolation="nearest")
    if box:
        panel.set_xlim(box[0] - 0.5, box[1] - 0.5)
        panel.set_ylim(box[3] - 0.5, box[2] - 0.5)
    else:
        spots = ((0.035, 0.5), (0.965, 0.5), (0.5, 0.96), (0.5, 0.04))
        for (x, y), letter in zip(spots, EDGES[plane], strict=True):
            panel.text(
                x, y, letter, transform=panel.transAxes, color="#ffd54a", ha="center", va="center", fontweight="bold"
            )
    panel.set_xticks([])
    panel.set_yticks([])


def _frame(panel: Any, box: tuple[float, float, float, float]) -> None:
    from matplotlib.patches import Rectangle

    left, right, upper, lower = box
    panel.add_patch(Rectangle((left, upper), right - left, lower - upper, fill=False, edgecolor="#ffd54a"))
