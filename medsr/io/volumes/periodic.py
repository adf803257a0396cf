"""Scans whose values show that they are not a magnitude, where no header says so: phases, and signed images."""

from __future__ import annotations

import numpy as np

from medsr.io.volumes.base import Volume

PERIODS = ((-np.pi, np.pi), (0.0, 2 * np.pi), (-1000 * np.pi, 1000 * np.pi), (-2048, 2048), (-4096, 4096), (-180, 180))
"""The values of a whole turn, as scanners write it: radians, thousandths of them, digital units, degrees."""
NEAR = 0.003
"""How far the ends of the values may lie from those of a turn, as a share of it."""
END, FILLED = 0.05, 0.005
"""At both ends of a turn, so much of its range holds at least such a share of the voxels: a phase begins anew there."""
SIGNED = 0.5
"""Values that reach as far below 0 as so much of their reach above it, and the other way round, are signed."""
SAMPLE = 2_000_000


def is_phase(volume: Volume) -> bool:
    """Whether the scan is a phase: its header, name or sidecar says so, or its values fill one turn up to both ends."""
    if volume.wrapped:
        return True
    values = _sample(volume)
    least, greatest = values.min(), values.max()
    for start, stop in PERIODS:
        turn = stop - start
        if abs(least - start) <= NEAR * turn and abs(greatest - stop) <= NEAR * turn:
            low, high = (values < start + END * turn).mean(), (values > stop - END * turn).mean()
            if (start < 0 and min(low, high) > FILLED) or (start == 0 and min(low, high) > 4 * FILLED):
                return True
    return False


def is_signed(volume: Volume) -> bool:
    """Whether the header or name says so, or values lie on both sides of 0 alike, as parts of complex images do."""
    if volume.signed:
        return True
    least, greatest = np.percentile(_sample(volume), (0.5, 99.5))
    return bool(least < 0 < greatest and min(-least, greatest) > SIGNED * max(-least, greatest))


def _sample(volume: Volume) -> np.ndarray:
    """Some of the values, in the scan's own units; all of a small scan's. Declared background is left out."""
    stored = volume.stored.reshape(-1) if volume.background is None else volume.stored[~volume.background]
    return stored[:: max(1, stored.size // SAMPLE)] * np.float64(volume.slope) + volume.intercept
