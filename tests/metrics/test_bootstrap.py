from __future__ import annotations

import numpy as np
import pytest

from medsr.metrics.bootstrap import MANY, summarize


def test_the_interval_holds_the_mean_as_often_as_it_says() -> None:
    rng = np.random.default_rng(0)
    hits = 0
    for _ in range(60):
        measured = summarize(rng.normal(3, 1, 25).tolist())
        assert measured.low is not None
        assert measured.high is not None
        hits += measured.low < 3 < measured.high
    assert hits >= 50  # 57 expected


def test_one_value_has_no_interval_and_equal_ones_have_no_width() -> None:
    alone = summarize([2.0])
    assert (alone.mean, alone.low, alone.high, alone.n) == (2.0, None, None, 1)
    assert not alone.above_zero
    same = summarize([2.0, 2.0, 2.0])
    assert (same.low, same.high) == (2.0, 2.0)
    assert same.above_zero
    nearly = summarize([1.0, 1.0 + 2e-16, 1.0])
    assert nearly.low == pytest.approx(1.0)
    with pytest.raises(ValueError, match="no values"):
        summarize([])


def test_it_is_the_same_every_time_and_many_values_are_no_trouble() -> None:
    values = np.random.default_rng(1).random(MANY + 1).tolist()
    first, second = summarize(values), summarize(values)
    assert first == second
    assert first.low is not None
    assert first.low < first.mean < (first.high or 0)
