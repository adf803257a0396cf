"""Finds where there is no lesion: what the ground truth has, it did not invent."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from medsr.commands.evaluate.lesions.finds import FindCounter
from medsr.commands.evaluate.lesions.ground_truths import Choices, ground_truths
from medsr.lesions.kinds import Family
from medsr.lesions.lesion import Lesion

BRIGHT = Family("exudate", "fundus", "exudate", (5,), (0.3,))


@pytest.mark.parametrize("height", [1.0, -0.078], ids=["lesions that stand out", "lesions in a trough"])
def test_nothing_is_invented_in_the_ground_truth(tmp_path: Path, height: float) -> None:
    absent = np.random.default_rng(0).normal(size=(80, 80)).astype(np.float32) * np.float32(0.1)
    present = absent.copy()
    present[36:45, 36:45] += np.float32(height)
    lesion = Lesion("exudate", "exudate", 5, 0.3, (1, 1, 1), (40, 40), (1, 1), (0,), 0)
    counter = FindCounter(ground_truths("fundus", tmp_path, Choices()), np.ones((80, 80), bool), 1.0, [BRIGHT])
    finds = {key: value for _, key, value in counter.count(absent, [([lesion], present)])}
    assert finds["invented"] == 0
    assert (finds["false_finds"] > 0) == (height < 0)
