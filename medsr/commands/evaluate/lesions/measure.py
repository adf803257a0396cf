"""One ground truth: every model sees it with lesions and without; what is left of each lesion."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from zlib import crc32

import numpy as np

from medsr.commands.evaluate.case import Case, Mask, Runner
from medsr.commands.evaluate.lesions.finds import FindCounter
from medsr.commands.evaluate.lesions.ground_truths import GroundTruths
from medsr.commands.evaluate.lesions.real_lesions import RealLesion, real_lesions
from medsr.commands.evaluate.lesions.result import Cell, Score, Strip, scores_of
from medsr.commands.evaluate.lesions.strips import INPUT, Examples, enlarged, places_picture
from medsr.core.types import Array
from medsr.lesions import draw, placement, places
from medsr.lesions.kinds import FAMILIES
from medsr.lesions.lesion import Lesion
from medsr.metrics.lesion_recovery import Recovery, recovery

ERASED = {"erased_half": 0.5, "erased_quarter": 0.25}
PATCH = 2.5
"""Side of what an observer sees, in sizes of the lesion."""
SMALLEST_PATCH, LARGEST_PATCH = 9, 41
"""Pixels."""
WHOLE = 1.3
"""Sizes of a lesion that a patch holds at least, however many pixels those are."""
APART = 2.5
"""Sizes of the larger of two lesions, besides what low resolution blurs, between their centres: no lesion reaches into
another's window."""


@dataclass(frozen=True, eq=False)
class Patch:
    """What an observer sees of one lesion, (side, side): with it, and the same place without it."""

    cell: Cell
    present: Array
    absent: Array


@dataclass(eq=False)
class SubjectFigures:
    """One subject. `picture`: of where its lesions are, None where nobody will look at it. `patches`: by model."""

    id: str
    picture: Array | None
    scores: list[Score] = field(default_factory=list)
    patches: dict[str, list[Patch]] = field(default_factory=lambda: defaultdict(list))
    strips: list[Strip] = field(default_factory=list)
    real: list[RealLesion] = field(default_factory=list)


@dataclass(frozen=True, eq=False)
class Round:
    """Lesions lesion_round at once. `case`: the ground truth that holds them."""

    lesions: Sequence[Lesion]
    case: Case


class Subject:
    """A ground truth, the places where lesions may lie, and rounds of lesions lesion_round there."""

    def __init__(self, truths: GroundTruths, case: Case, seed: int, rounds: int, mask: Mask | None = None) -> None:
        """`mask`: of lesions that a reader outlined. Raises InputError where there is no place for others."""
        self.truths, self.case, self.step, self.mask = truths, case, truths.step(case), mask
        self.allowed = places.allowed(truths.kind, case.ground_truth, self.step)
        self.rounds = [self._round(seed, number) for number in range(rounds)]

    def _round(self, seed: int, number: int) -> Round:
        """Other lesions in every image and round, always the same ones."""
        truth = self.case.ground_truth
        own = int(np.random.SeedSequence([seed, number, crc32(os.fsencode(self.case.id))]).generate_state(1)[0])
        beyond = max(placement.APART[1], 2 * self.truths.bench.scale + 4)
        apart = APART, beyond
        lesions = placement.place(self.truths.kind, truth, self.step, own, apart=apart, where=self.allowed)
        return Round(lesions, self.truths.with_truth(self.case, draw.draw(truth, lesions, self.step)))

    def measure(self, models: Mapping[str, Runner]) -> SubjectFigures:
        """The first model must be the ground truth itself."""
        subject = SubjectFigures(self.case.id, self._picture())
        examples = Examples(self.truths, self.step, [lesion_round.lesions for lesion_round in self.rounds])
        examples.add(
            INPUT,
            [enlarged(self.truths, lesion_round.case) for lesion_round in self.rounds],
            enlarged(self.truths, self.case),
        )
        counter = FindCounter(self.truths, self.allowed, self.step, FAMILIES[self.truths.kind])
        results = {}
        for name, runner in models.items():
            absent = runner(self.case)
            present = [runner(lesion_round.case) for lesion_round in self.rounds]
            figures = []
            for lesion_round, result in zip(self.rounds, present, strict=True):
                figures += [
                    (cell_of(lesion), self._figures(lesion_round, lesion, result, absent))
                    for lesion in lesion_round.lesions
                ]
                subject.patches[name] += self._patches(lesion_round.lesions, result, absent)
            subject.scores += scores_of(subject.id, name, figures)
            judged = [
                (lesion_round.lesions, self.truths.judged(result))
                for lesion_round, result in zip(self.rounds, present, strict=True)
            ]
            finds = counter.count(self.truths.judged(absent), judged)
            subject.scores += [Score(subject.id, name, cell, key, value) for cell, key, value in finds]
            examples.add(name, present, absent)
            if self.mask is not None:
                results[name] = absent
        if self.mask is not None:
            truth, unit = self.case.ground_truth, self.truths.unit
            subject.real = real_lesions(subject.id, truth, self.mask, results, self.step, unit)
        subject.strips = examples.strips(subject.id)
        return subject

    def _picture(self) -> Array:
        """Where the first round's lesions lie."""
        return places_picture(self.case.ground_truth, self.allowed, self.rounds[0].lesions, self.step)

    def _figures(self, lesion_round: Round, lesion: Lesion, present: Array, absent: Array) -> dict[str, float]:
        """What is left of one lesion."""
        window = self._window(lesion)
        truth = lesion_round.case.ground_truth[window] - self.case.ground_truth[window]
        return figures_of(recovery(truth, present[window] - absent[window], self.step, self.truths.kind != "mri"))

    def _window(self, lesion: Lesion) -> tuple[slice, ...]:
        """Around a lesion, as far as no other reaches."""
        reach = int(np.ceil(lesion.size / self.step)) + round(self.truths.bench.scale)
        return tuple(
            slice(max(0, centre - reach), min(length, centre + reach + 1))
            for centre, length in zip(lesion.centre, self.case.ground_truth.shape, strict=False)
        )

    def _patches(self, lesions: Sequence[Lesion], present: Array, absent: Array) -> Iterator[Patch]:
        """Of a volume the coronal section through the middle, which shows the thick slices."""
        for lesion in lesions:
            side = patch_side(lesion.size, self.step)
            sections = [self.section(array, lesion.centre, side) for array in (present, absent)]
            if all(section.shape == (side, side) for section in sections):
                yield Patch(cell_of(lesion), *sections)

    def section(self, array: Array, centre: Sequence[int], side: int) -> Array:
        """(side, side) around a place; smaller where the array ends. A copy, as the whole array must not stay."""
        judged = self.truths.judged(array)
        if judged.ndim == 3:
            judged, centre = judged[:, centre[1], :], (centre[0], centre[2])
        half = side // 2
        row, column = centre[:2]
        return judged[max(0, row - half) : row + half + 1, max(0, column - half) : column + half + 1].copy()


def figures_of(values: Recovery) -> dict[str, float]:
    """By measure. A lesion that 8 bits of the ground truth do not hold is neither kept nor erased: nan."""
    undefined = np.isnan(values.integrated)
    erased = {name: np.nan if undefined else float(values.integrated < least) for name, least in ERASED.items()}
    return asdict(values) | erased


def patch_side(size: float, step: float) -> int:
    """Odd, in pixels."""
    wanted, least = (2 * round(sizes * size / step / 2) + 1 for sizes in (PATCH, WHOLE))
    return max(int(np.clip(wanted, SMALLEST_PATCH, LARGEST_PATCH)), least)


def cell_of(lesion: Lesion) -> Cell:
    """Lesions alike."""
    return Cell(lesion.family, lesion.size, lesion.contrast)
