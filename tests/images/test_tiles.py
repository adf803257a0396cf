from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medsr.images import tiles


@given(length=st.integers(1, 500), tile=st.integers(32, 200), alignment=st.sampled_from([1, 2, 4]))
def test_spans_cover_the_axis_once_and_keep_their_alignment(length: int, tile: int, alignment: int) -> None:
    length = -(-length // alignment) * alignment
    cuts = tiles.spans(length, tile, alignment)
    assert cuts[0].start == 0
    assert cuts[-1].stop == length
    assert all(a.stop == b.start for a, b in pairwise(cuts))
    for span in cuts:
        assert span.read_start % alignment == 0
        assert 0 <= span.read_start <= span.start < span.stop <= span.read_stop <= length
        assert span.read_stop - span.read_start <= tile + 2 * tiles.Seam.halo + 3 * alignment
    assert len({span.read_stop - span.read_start for span in cuts}) == 1
    for before, after in pairwise(cuts):
        assert min(before.read_stop - before.stop, after.start - after.read_start) >= tiles.Seam.halo - alignment


@settings(max_examples=40, deadline=None)
@given(
    height=st.integers(33, 260), width=st.integers(33, 260), tile=st.integers(32, 120), scale=st.sampled_from([1, 2, 4])
)
def test_a_local_operation_is_the_same_in_tiles(height: int, width: int, tile: int, scale: int) -> None:
    """An operation whose reach is within the halo less the seam cannot tell whether it was tiled."""
    from scipy.ndimage import uniform_filter

    image = np.random.default_rng(height * width).random((height, width, 1)).astype(np.float32)

    def operation(part: np.ndarray) -> np.ndarray:
        return uniform_filter(part, (31, 31, 1), mode="constant").repeat(scale, 0).repeat(scale, 1)

    whole, tiled = operation(image), tiles.run(image, operation, scale, tile)
    np.testing.assert_allclose(tiled, whole, atol=1e-5)


def test_a_failed_tile_is_an_error_never_a_hole() -> None:
    calls = 0

    def fail_on_the_third(part: np.ndarray) -> np.ndarray:
        nonlocal calls
        calls += 1
        if calls == 3:
            raise ValueError("broken tile")
        return part

    with pytest.raises(ValueError, match="broken tile"):
        tiles.run(np.zeros((200, 200, 1), np.float32), fail_on_the_third, 1, 64)


def test_progress_is_told_tile_by_tile() -> None:
    summary: list[tuple[int, int]] = []
    image, seam = np.zeros((100, 130, 1), np.float32), tiles.Seam(8, 4)
    tiles.run(image, lambda x: x, 1, 64, on_tile=lambda *now: summary.append(now), seam=seam)
    assert summary == [(i, 4) for i in range(1, 5)]
