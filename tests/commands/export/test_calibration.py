"""Pieces that int8 is calibrated on reach as far as an image in use does."""

from __future__ import annotations

import numpy as np
import pytest

from medsr.commands.export.calibration import calibration_crops
from medsr.core.types import Array
from medsr.engines.guarded import ROOM, extent
from medsr.images.reflected import Reflected
from medsr.training.validation import ValidationSample


def slope(length: int) -> Array:
    """Steep enough that its reflection is sharper than all inside it."""
    across = np.linspace(0, 1, length, dtype=np.float32)
    return np.stack([np.broadcast_to(across, (length, length))] * 3, axis=2)


@pytest.mark.parametrize("turns", [0, 1, 2, 3])
def test_the_reflected_border_of_an_image_that_calibrated_is_within_its_limits(turns: int) -> None:
    low = np.ascontiguousarray(np.rot90(slope(40), turns))
    crops = calibration_crops([ValidationSample("slope", low, low, low)], 3, 12)
    limits = np.max([extent(crop, 3) for crop in crops], axis=0)
    seen = Reflected(lambda rows: low[rows], low.shape, 1)
    whole = seen.rows(slice(0, seen.size[0])).transpose(2, 0, 1)[None]
    assert (extent(whole, 3) > extent(low.transpose(2, 0, 1)[None], 3) + ROOM).any()
    assert (extent(whole, 3) <= limits + ROOM).all()


@pytest.mark.parametrize("size", [(8, 60), (20, 20), (33, 70)])
def test_small_images_calibrate_too(size: tuple[int, int]) -> None:
    low = np.random.default_rng(0).random((*size, 3), dtype=np.float32)
    crops = calibration_crops([ValidationSample("small", low, low, low)], 3, 6)
    assert {crop.shape for crop in crops} == {(1, 3, *(min(96, side - side % 4) for side in size))}
    assert all(0 <= crop.min() <= crop.max() <= 1 for crop in crops)


def test_a_third_is_stretched_and_a_third_in_other_colours() -> None:
    rng = np.random.default_rng(0)
    image = ((0.3 + 0.2 * rng.random((96, 96, 3))) * [1, 0.9, 0.5]).astype(np.float32)
    crops = calibration_crops([ValidationSample("image", image, image, image)], 3, 12)
    ordinary = image.transpose(2, 0, 1)[:, :80, :80]
    same = [bool(np.array_equal(crop[0, :, :80, :80], ordinary)) for crop in crops]
    full = [(float(crop.min()), float(crop.max())) == (0, 1) for crop in crops]
    assert same == [True, False, False] * 4
    assert full == [False, True, False] * 4
