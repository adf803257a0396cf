"""Stored values to network values and back, exactly and without guessing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

PART = 1 << 20
"""Values converted at a time."""


@dataclass(frozen=True)
class Window:
    """The stored values that mean darkest and brightest.

    `low` maps to 0 and `high` to 1; with `inverted` (DICOM MONOCHROME1, TIFF MINISWHITE) `low` is the brightest
    and maps to 1. `store_low` and `store_high` bound what the file can hold: only they clip.
    """

    low: float
    high: float
    store_low: float
    store_high: float
    inverted: bool = False

    def to_unit(self, stored: NDArray) -> NDArray[np.float32]:
        """Stored values of any dtype and shape to float32, [low, high] -> [0, 1]."""

        def convert(part: NDArray) -> NDArray:
            unit = (part.astype(np.float64) - self.low) / (self.high - self.low)
            return 1.0 - unit if self.inverted else unit

        return _in_parts(stored, convert, np.dtype(np.float32))

    def to_stored(self, unit: NDArray, dtype: np.dtype) -> NDArray:
        """Unit values back to `dtype`: rounded for integers, clipped to what the file can hold, nothing else."""

        def convert(part: NDArray) -> NDArray:
            value = part.astype(np.float64)
            value = (1.0 - value if self.inverted else value) * (self.high - self.low) + self.low
            if np.issubdtype(dtype, np.integer):
                value = np.rint(value)
            return np.clip(value, self.store_low, self.store_high)

        return _in_parts(unit, convert, np.dtype(dtype))

    @classmethod
    def of_values(cls, stored: NDArray) -> Window:
        """For values without a range of their own (MRI): their 0.5 and 99.5 percentiles, in the stored dtype.

        A background of one value counts like any other. Where both percentiles agree, the smallest and largest value.
        """
        low, high = (float(value) for value in np.percentile(stored, (0.5, 99.5)))
        if low == high:
            low, high = float(stored.min()), float(stored.max())
        limits = np.iinfo(stored.dtype) if stored.dtype.kind in "iu" else np.finfo(stored.dtype)
        return cls(low, high if high > low else low + 1.0, float(limits.min), float(limits.max))

    @classmethod
    def of_bits(cls, bits: int, *, signed: bool = False, inverted: bool = False, store_bits: int = 0) -> Window:
        """The window of `bits` bits, stored in `store_bits` bits (default: the same)."""
        low, high = bit_range(bits, signed)
        store_low, store_high = bit_range(store_bits or bits, signed)
        return cls(low, high, store_low, store_high, inverted)


def _in_parts(values: NDArray, convert: Callable[[NDArray], NDArray], dtype: np.dtype) -> NDArray:
    """`convert` a few rows at a time: its float64 of a whole radiograph would be eight times the file."""
    if values.size <= PART:
        return convert(values).astype(dtype)
    result = np.empty_like(values, dtype)
    rows = max(1, PART * len(values) // values.size)
    for start in range(0, len(values), rows):
        result[start : start + rows] = convert(values[start : start + rows])
    return result


def bit_range(bits: int, signed: bool = False) -> tuple[int, int]:
    """Smallest and largest integer of that many bits."""
    return (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) if signed else (0, (1 << bits) - 1)


def bits_that_hold(largest: int) -> int:
    """The narrowest usual depth above 8 bits (12, 14 or 16) that holds `largest`.

    For 16-bit files that do not declare their depth. Never 8: a dim 12-bit image is not an 8-bit one.
    """
    return next(bits for bits in (12, 14, 16) if largest < 1 << bits)
