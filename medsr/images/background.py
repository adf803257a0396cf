"""A background of one value: the black around the eye's fundus, the bars of a film. It needs no network."""

from __future__ import annotations

import numpy as np

from medsr.core.types import Array


def picture(unit: Array, margin: int, multiple: int) -> tuple[slice, slice]:
    """Rows and columns of the part of (H, W, C) that is not background, with `margin` around it.

    Background is the value of a corner, as far as nothing else lies in its rows or columns; of the four corners, the
    one whose background is the largest. The slices begin and end at a `multiple` or at the border. An image
    of one value is a picture.
    """
    boxes = [_box(unit, unit[y, x], margin, multiple) for y in (0, -1) for x in (0, -1)]
    return min(boxes, key=lambda box: unit[box].size)


def _box(unit: Array, value: Array, margin: int, multiple: int) -> tuple[slice, slice]:
    borders = (unit[0], unit[-1], unit[:, 0], unit[:, -1])
    if not any(np.array_equal(border, np.broadcast_to(value, border.shape)) for border in borders):
        return slice(0, unit.shape[0]), slice(0, unit.shape[1])  # nothing of it can be left out
    other = np.any(unit != value, axis=2)
    rows, columns = (_extent(np.any(other, axis=1 - axis), margin, multiple) for axis in range(2))
    return rows, columns


def _extent(busy: np.ndarray, margin: int, multiple: int) -> slice:
    where = np.flatnonzero(busy)
    if not len(where):
        return slice(0, len(busy))
    first, last = max(0, int(where[0]) - margin), min(len(busy), int(where[-1]) + 1 + margin)
    return slice(first // multiple * multiple, min(len(busy), -(-last // multiple) * multiple))
