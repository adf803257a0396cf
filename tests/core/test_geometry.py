"""Grids: finer voxels over the same box; planes from the affine."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from nibabel.orientations import inv_ornt_aff

from medsr.core.errors import InputError, UsageError
from medsr.core.geometry import Grid, finer, parse_planes, parse_spacing

OBLIQUE = np.array([[0.9, 0.1, -0.2, -40], [-0.15, 1.1, 0.3, 12], [0.2, -0.25, 2.4, 7], [0, 0, 0, 1]])


@given(st.tuples(*[st.integers(1, 60)] * 3), st.tuples(*[st.integers(1, 200)] * 3))
def test_a_finer_grid_fills_the_same_box(old: tuple[int, int, int], new: tuple[int, int, int]) -> None:
    before, after = Grid(old, OBLIQUE), Grid(old, OBLIQUE).on(new)
    for corner in np.ndindex(2, 2, 2):
        there = before.affine @ [*(np.array(corner) * old - 0.5), 1]
        here = after.affine @ [*(np.array(corner) * new - 0.5), 1]
        np.testing.assert_allclose(here, there, atol=1e-9)


def test_the_first_centre_moves_by_half_the_difference_of_the_spacings() -> None:
    after = Grid((10, 10, 5), np.diag([1, 1, 2, 1.0])).on((10, 10, 10))
    np.testing.assert_allclose(after.affine[:3, 3], [0, 0, -0.5])
    assert after.spacing == (1, 1, 1)


@pytest.mark.parametrize(
    ("spacing", "asked", "expected"),
    [
        ((1, 1, 2), {}, (20, 20, 40)),  # one axis coarser: match the finest
        ((1, 1, 1), {}, (40, 40, 40)),  # isotropic: twice
        ((1, 1, 1.02), {}, (40, 40, 40)),  # nearly isotropic counts as isotropic
        ((0.5, 1, 1), {}, (20, 40, 40)),
        ((1, 1, 2), {"scale": 1.5}, (30, 30, 30)),
        ((1, 1, 2), {"spacing": (0.8,)}, (25, 25, 50)),
        ((1, 1, 2), {"spacing": (1, 1, 0.5)}, (20, 20, 80)),
        ((0.5, 0.5, 3), {"spacing": (0.75,)}, (13, 13, 80)),  # axes that are fine enough get coarser
        ((1, 1, 3.3), {"isotropic": True}, (20, 20, 66)),
        ((1.59, 1.61, 5), {}, (20, 20, 63)),  # what is nearly as fine as the finest keeps its voxels
        ((1.61, 1.59, 5), {"isotropic": True}, (20, 20, 63)),
        ((1, 1.04, 3), {"spacing": (1, 1, 1)}, (20, 21, 60)),  # but for what is asked for by name
        ((1, 1.04, 3), {"spacing": (1,)}, (20, 21, 60)),
        ((1, 1.04, 3), {"scale": 1.1}, (22, 22, 22)),
        ((1, 1.06, 3), {}, (20, 21, 60)),
    ],
)
def test_what_finer_means(spacing: tuple, asked: dict, expected: tuple) -> None:
    options = {"scale": None, "spacing": None, "isotropic": False} | asked
    assert finer(Grid((20, 20, 20), np.diag([*spacing, 1.0])), **options) == expected


@pytest.mark.parametrize(
    "asked",
    [
        {"scale": 0.9},
        {"scale": float("nan")},
        {"scale": 17},
        {"spacing": (0,)},
        {"spacing": (1, 1)},
        {"spacing": (0.01,)},
        {"spacing": (2,)},  # nothing finer
        {"isotropic": True},  # already
        {"scale": 2, "spacing": (0.5,)},
    ],
)
def test_what_cannot_be_asked_for(asked: dict) -> None:
    options = {"scale": None, "spacing": None, "isotropic": False} | asked
    with pytest.raises(UsageError):
        finer(Grid((20, 20, 20), np.eye(4)), **options)


def test_planes_follow_the_affine_not_the_order_of_the_axes() -> None:
    assert Grid((9, 9, 9), OBLIQUE).planes == ("sagittal", "coronal", "axial")
    turned = OBLIQUE @ inv_ornt_aff(np.array([[2, -1], [0, 1], [1, -1.0]]), (9, 9, 9))
    assert set(Grid((9, 9, 9), turned).planes) == {"sagittal", "coronal", "axial"}
    stored_sagittally = np.array([[0, 0, 1, 0], [1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0, 1.0]])
    assert Grid((9, 9, 9), stored_sagittally).planes == ("coronal", "axial", "sagittal")


@pytest.mark.parametrize("column", [[np.nan, 0, 0], [np.inf, 0, 0], [0, 0, 0], [0, 1, 0]])
def test_voxels_without_a_place_are_refused(column: list[float]) -> None:
    affine = np.eye(4)
    affine[:3, 0] = column
    with pytest.raises(InputError, match="scan"):
        Grid((5, 5, 5), affine).check("scan")


def test_parsing() -> None:
    assert parse_spacing("0.8") == (0.8,)
    assert parse_spacing("0.8,0.8,1.0") == (0.8, 0.8, 1.0)
    assert parse_planes("auto") is None
    assert parse_planes("axial, sagittal") == ("sagittal", "axial")
    assert parse_planes("all") == ("sagittal", "coronal", "axial")
    with pytest.raises(UsageError, match="thick"):
        parse_spacing("thick")
    with pytest.raises(UsageError, match="'transverse'"):
        parse_planes("axial,transverse")
