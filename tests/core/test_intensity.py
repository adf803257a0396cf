from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from medsr.core.intensity import Window, bits_that_hold


@given(bits=st.integers(8, 16), signed=st.booleans(), inverted=st.booleans())
def test_every_stored_value_comes_back_exactly(bits: int, signed: bool, inverted: bool) -> None:
    window = Window.of_bits(bits, signed=signed, inverted=inverted)
    dtype = np.dtype(np.int16 if signed else np.uint16)
    stored = np.arange(int(window.low), int(window.high) + 1, dtype=dtype)
    unit = window.to_unit(stored)
    assert unit.min() == 0
    assert unit.max() == 1
    np.testing.assert_array_equal(window.to_stored(unit, dtype), stored)


def test_inverted_window_makes_the_lowest_value_brightest() -> None:
    unit = Window.of_bits(12, inverted=True).to_unit(np.array([0, 4095], np.uint16))
    np.testing.assert_array_equal(unit, [1, 0])


def test_clips_only_to_what_the_file_can_hold() -> None:
    declared = Window.of_bits(12)
    undeclared = Window.of_bits(12, store_bits=16)
    overshoot = np.array([-0.1, 1.1], np.float32)
    np.testing.assert_array_equal(declared.to_stored(overshoot, np.dtype(np.uint16)), [0, 4095])
    np.testing.assert_array_equal(undeclared.to_stored(overshoot, np.dtype(np.uint16)), [0, 4505])


@pytest.mark.parametrize(("largest", "bits"), [(0, 12), (200, 12), (4095, 12), (4096, 14), (16384, 16), (65535, 16)])
def test_a_dim_16_bit_file_is_never_taken_for_8_bits(largest: int, bits: int) -> None:
    assert bits_that_hold(largest) == bits
