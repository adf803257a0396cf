"""Pictures of an evaluation of lesions: sections through examples, and where lesions were drawn."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain

import numpy as np
from scipy.ndimage import binary_erosion

from medsr.commands.evaluate.case import Case, Mask
from medsr.commands.evaluate.lesions.ground_truths import GroundTruths
from medsr.commands.evaluate.lesions.result import Cell, LesionEvaluation, Strip
from medsr.core.types import Array
from medsr.lesions.lesion import Lesion

PLACES = 4
"""So many subjects are shown with the places of their lesions."""
SIDE_IN_SIZES, SMALLEST_SIDE, LARGEST_SIDE = 5, 31, 121
"""Of an example's section; the others in pixels."""
GREEN, YELLOW = (0.2, 0.9, 0.3), (1.0, 0.9, 0.1)
INPUT = "input"
HALF = 0.5


class Examples:
    """Sections through one lesion of middle contrast of every family and size, in what every model makes of it."""

    def __init__(self, truths: GroundTruths, step: float, rounds: Sequence[Sequence[Lesion]]) -> None:
        self.truths, self.step = truths, step
        self._lesions: dict[Cell, tuple[int, Lesion]] = {}
        contrasts: dict[str, set[float]] = {}
        for lesion in chain.from_iterable(rounds):
            contrasts.setdefault(lesion.family, set()).add(lesion.contrast)
        middle = {family: sorted(values, key=abs)[len(values) // 2] for family, values in contrasts.items()}
        for number, lesions in enumerate(rounds):
            for lesion in lesions:
                if lesion.contrast == middle[lesion.family]:
                    self._lesions.setdefault(Cell(lesion.family, lesion.size, lesion.contrast), (number, lesion))
        self._present: dict[Cell, dict[str, Array]] = {cell: {} for cell in self._lesions}
        self._absent: dict[Cell, dict[str, Array]] = {cell: {} for cell in self._lesions}

    def add(self, name: str, present: Sequence[Array], absent: Array) -> None:
        """What is shown under that name; `present`: of every round."""
        for cell, (number, lesion) in self._lesions.items():
            self._present[cell][name] = section(present[number], lesion, self.step)
            self._absent[cell][name] = section(absent, lesion, self.step)

    def strips(self, subject: str) -> list[Strip]:
        """One of each family and size."""
        return [Strip(subject, cell, self._present[cell], self._absent[cell]) for cell in self._lesions]


def choose_strips(strips: Sequence[Strip], result: LesionEvaluation) -> list[Strip]:
    """Of each family the smallest lesions of which the baseline keeps half, the next smaller ones, and the largest."""
    best: list[Strip] = []
    for family in dict.fromkeys(strip.cell.family for strip in strips):
        by_size = {strip.cell.size: strip for strip in reversed(strips) if strip.cell.family == family}
        sizes = sorted(by_size)
        kept = [result.mean(result.baseline, Cell(family, size), "integrated") for size in sizes]
        half = next((index for index, mean in enumerate(kept) if mean and mean.mean >= HALF), len(sizes) - 1)
        best += [by_size[sizes[index]] for index in sorted({max(0, half - 1), half, len(sizes) - 1})]
    return best


def section(array: Array, lesion: Lesion, step: float) -> Array:
    """(h, w, 1 or 3) in [0, 1] through a lesion, of a volume coronal, head up; smaller at the border."""
    side = int(np.clip(SIDE_IN_SIZES * lesion.size / step, SMALLEST_SIDE, LARGEST_SIDE))
    is_volume = len(lesion.centre) == 3
    row, column = (lesion.centre[0], lesion.centre[2]) if is_volume else lesion.centre[:2]
    plane = array[:, lesion.centre[1], :, None] if is_volume else array
    half = side // 2
    cut = plane[max(0, row - half) : row + half + 1, max(0, column - half) : column + half + 1]
    return np.ascontiguousarray(upright(cut) if is_volume else cut).clip(0, 1)


def upright(plane: Array) -> Array:
    """(right, superior, C) to rows from the top of the head."""
    return plane.swapaxes(0, 1)[::-1]


def enlarged(truths: GroundTruths, case: Case) -> Array:
    """What models get, each pixel or slice repeated to the ground truth's size."""
    result: Array = case.low_resolution
    axes = (2,) if truths.kind == "mri" else (0, 1)
    for axis in axes:
        fine, coarse = case.ground_truth.shape[axis], result.shape[axis]
        result = result.take((np.arange(fine) * coarse) // fine, axis=axis)
    return result


def places_picture(truth: Array, allowed: Mask, lesions: Sequence[Lesion], step: float) -> Array:
    """(H, W, 3): the places outlined, lesions framed; of a volume the coronal slice that holds most lesions."""
    plane, where = truth, allowed
    centres = [lesion.centre[:2] for lesion in lesions]
    sizes = [lesion.size / step for lesion in lesions]
    if truth.ndim == 3 and allowed.ndim == 3:
        slab = _fullest(lesions, allowed)
        near = [lesion for lesion in lesions if abs(lesion.centre[1] - slab) * step <= lesion.size / 2]
        centres = [(lesion.centre[0], lesion.centre[2]) for lesion in near]
        sizes = [lesion.size / step for lesion in near]
        plane, where = truth[:, slab, :, None], allowed[:, slab, :]
    picture = np.repeat(plane, 3, axis=2) if plane.shape[2] == 1 else plane.copy()
    picture = picture.clip(0, 1).astype(np.float32)
    picture[where & ~binary_erosion(where, iterations=max(1, min(picture.shape[:2]) // 400))] = GREEN
    for (row, column), size in zip(centres, sizes, strict=True):
        _frame(picture, row, column, round(size / 2) + 3)
    return upright(picture) if truth.ndim == 3 and allowed.ndim == 3 else picture


def _fullest(lesions: Sequence[Lesion], allowed: Mask) -> int:
    """The coronal slice through most lesions."""
    if not lesions:
        return int(np.argmax(allowed.sum(axis=(0, 2))))
    return int(np.bincount([lesion.centre[1] for lesion in lesions]).argmax())


def _frame(picture: Array, row: int, column: int, half: int) -> None:
    """A square of one pixel's width."""
    top, left = max(0, row - half), max(0, column - half)
    bottom, right = min(picture.shape[0] - 1, row + half), min(picture.shape[1] - 1, column + half)
    for side in (top, bottom):
        picture[side, left : right + 1] = YELLOW
    for side in (left, right):
        picture[top : bottom + 1, side] = YELLOW
