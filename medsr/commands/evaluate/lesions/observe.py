"""Observers that look for lesions: trained on all other subjects, tested on one."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from medsr.commands.evaluate.lesions.measure import Patch, SubjectFigures
from medsr.commands.evaluate.lesions.result import Cell, Score
from medsr.core.types import Array
from medsr.metrics import observers

NOISE = 0.1
"""Internal noise of the Hotelling observer: variance in parts of its channels' own."""
FEWEST = 8
"""Lesions an observer must have seen before it is asked."""

Groups = Mapping[str, Mapping[Cell, Sequence[Patch]]]


def observe(subjects: Sequence[SubjectFigures], models: Sequence[str]) -> Iterator[Score]:
    """AUC and d' of both observers, by subject, family, size and contrast; nothing of a single subject."""
    for model in models:
        groups = {subject.id: _by_size(subject.patches[model]) for subject in subjects}
        sizes = dict.fromkeys(cell for cells in groups.values() for cell in cells)
        for cell in sizes:
            for subject in groups:
                yield from _scores(model, cell, subject, groups)


def _by_size(patches: Sequence[Patch]) -> dict[Cell, list[Patch]]:
    """An observer knows family and size of what it looks for, and not its contrast."""
    groups: dict[Cell, list[Patch]] = defaultdict(list)
    for patch in patches:
        groups[Cell(patch.cell.family, patch.cell.size)].append(patch)
    return groups


def _scores(model: str, cell: Cell, subject: str, groups: Groups) -> Iterator[Score]:
    test_patches = groups[subject].get(cell, ())
    others = [patch for other, cells in groups.items() if other != subject for patch in cells.get(cell, ())]
    sides = {patch.present.shape for patch in test_patches}
    train_patches = [patch for patch in others if patch.present.shape in sides]  # of the same spacing
    if len(train_patches) < FEWEST:
        return
    train, test = _stacks(train_patches), _stacks(test_patches)
    template = (train[0] - train[1]).mean(axis=0)
    template -= template.mean()  # an observer does not take a brighter background for a lesion
    ratings = {
        "cho": observers.hotelling_ratings(*train, *test, noise=NOISE),
        "npw": observers.matched_filter_ratings(template, *test),
    }
    contrasts = np.array([patch.cell.contrast for patch in test_patches])
    for contrast in (None, *sorted(set(contrasts.tolist()))):
        chosen = np.ones(len(test_patches), bool) if contrast is None else contrasts == contrast
        for observer, (present, absent) in ratings.items():
            if chosen.sum() < 2:
                continue
            figure = observers.detectability(present[chosen], absent)
            scored = Cell(cell.family, cell.size, contrast)
            count = int(chosen.sum())
            yield Score(subject, model, scored, f"{observer}_auc", figure.auc, count)
            yield Score(subject, model, scored, f"{observer}_d", figure.d_prime, count)


def _stacks(patches: Sequence[Patch]) -> tuple[Array, Array]:
    """(n, side, side) with lesions, and without."""
    return np.stack([patch.present for patch in patches]), np.stack([patch.absent for patch in patches])
