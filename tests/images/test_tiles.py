from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medsr.images import tiles
from medsr.images.tiles import Seam


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

    whole, tiled = operation(image), _in_tiles(image, operation, scale, tile)
    np.testing.assert_allclose(tiled, whole, atol=1e-5)


def _in_tiles(
    image: np.ndarray, operation: Callable[[np.ndarray], np.ndarray], scale: int, tile: int, seam: Seam = Seam()
) -> np.ndarray:
    down, across = (tiles.spans(length, tile, halo=seam.halo) for length in image.shape[:2])
    rows = (tiles.row(image[row.read], operation, across, scale, seam.blend) for row in down)
    return np.concatenate(list(tiles.join_tiles(rows, down, scale, seam.blend)))


def test_a_failed_tile_is_an_error_never_a_hole() -> None:
    calls = 0

    def fail_on_the_third(part: np.ndarray) -> np.ndarray:
        nonlocal calls
        calls += 1
        if calls == 3:
            raise ValueError("broken tile")
        return part

    with pytest.raises(ValueError, match="broken tile"):
        _in_tiles(np.zeros((200, 200, 1), np.float32), fail_on_the_third, 1, 64)


def test_narrow_tiles_are_blended_over_less() -> None:
    """Where two seams do not fit between a tile's borders."""
    image = np.random.default_rng(0).random((97, 140, 3)).astype(np.float32)
    np.testing.assert_allclose(_in_tiles(image, np.copy, 1, 8, Seam(20, 16)), image, atol=1e-6)


def test_a_seam_goes_from_one_tile_to_the_next_evenly() -> None:
    values = iter([np.zeros((40, 60, 1), np.float32), np.ones((40, 60, 1), np.float32)])
    places = [tiles.Span(0, 50, 0, 60), tiles.Span(50, 100, 40, 100)]
    result = tiles.row(np.zeros((40, 100, 1), np.float32), lambda _: next(values), places, 1, 4)[0, :, 0]
    assert (result[:46] == 0).all()
    assert (result[54:] == 1).all()
    np.testing.assert_allclose(result[46:54], (np.arange(8) + 0.5) / 8)


def test_progress_is_told_tile_by_tile() -> None:
    summary: list[tuple[int, int]] = []
    image = np.zeros((40, 130, 1), np.float32)
    tiles.row(image, np.copy, tiles.spans(130, 40, halo=8), 1, 4, lambda *now: summary.append(now))
    assert summary == [(i, 3) for i in range(1, 4)]
