from __future__ import annotations

import numpy as np

from medsr.metrics.regions import foreground


def test_the_foreground_is_the_largest_bright_part_with_its_holes() -> None:
    unit = np.zeros((40, 40, 3), np.float32)
    unit[5:35, 5:35, 0] = 0.4
    unit[15:20, 15:20] = 0  # a dark lesion is part of the eye
    unit[0:2, 38:40] = 0.9  # a burnt-in letter is not
    expected = np.zeros((40, 40), bool)
    expected[5:35, 5:35] = True
    np.testing.assert_array_equal(foreground(unit), expected)


def test_of_a_dark_image_it_is_everything() -> None:
    assert foreground(np.zeros((8, 9, 1), np.float32)).all()
