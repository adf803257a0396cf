"""A large image in bands of rows: memory holds its result as it is stored, and floats of one band only."""

from __future__ import annotations

from medsr.images.network import Model, OnTile, Store
from medsr.images.reflected import Rows
from medsr.images.tiles import Span, spans

MOST = 100_000_000
"""Values that are computed together: of a result, before it is made smaller where the model's own factor is larger."""
ALIGNMENT = 4
"""Where bands may begin: on the grid that every network of factor 1 or 2 folds pixels by."""
FEWEST = 256
"""Rows of a band, at least: more of them would be computed twice."""


def split(shape: tuple[int, ...], model: Model, scale: float) -> list[Span]:
    """The bands of an input of (H, W, C); a single one where the result is small, or must be seen whole.

    Only whole factors have bands: of others, rows of the result would not begin where rows of the input do.
    """
    height, width, channels = shape
    values = width * channels * max(scale, model.scale or 0) ** 2
    if model.margin is None or not float(scale).is_integer() or height * values <= MOST:
        return [Span(0, height, 0, height)]
    rows = max(FEWEST, int(MOST / values) - 2 * model.margin)
    return spans(height, rows, ALIGNMENT, model.margin)


def run(
    unit: Rows, bands: list[Span], model: Model, scale: float, colour: bool, store: Store, on_tile: OnTile | None = None
) -> None:
    """Give each band's result to `store(rows, strip)`, the same as of the image as a whole.

    `unit`: gives rows of the input, (rows, W, C) in [0, 1]. `colour`: whether the image as a whole has colours; a band
    of it may have none. `on_tile(done, total)`: in thousandths.
    """
    factor = int(scale)
    for number, band in enumerate(bands):

        def advance(done: int, total: int, number: int = number) -> None:
            if on_tile:
                on_tile(int(1000 * (number + done / total) / len(bands)), 1000)

        result = model(unit(band.read), scale, advance, colour)
        above = (band.start - band.read_start) * factor
        rows = slice(band.start * factor, band.stop * factor)
        store(rows, result[above : above + rows.stop - rows.start])
