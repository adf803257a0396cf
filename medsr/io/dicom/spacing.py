"""How large a pixel of a radiograph is at the patient."""

from __future__ import annotations

from typing import Any

import numpy as np

MAGNIFICATIONS = 1.0, 3.0
"""Of what lies in the patient, on the detector: what can be meant."""


def at_patient(dataset: Any) -> tuple[float, float] | None:
    """Millimetres from row to row and from column to column; None where the header does not say, or no sense.

    Pixel Spacing, unless it repeats the detector's; else Imager Pixel Spacing, divided by the magnification where the
    header estimates it, as PS3.3 10.7.1.3 has it; else the step in which a film was scanned.
    """
    calibrated = _two(dataset, "PixelSpacing")
    detector = _two(dataset, "ImagerPixelSpacing")
    if calibrated is not None and calibrated != detector:
        return calibrated
    if detector is None:
        return _two(dataset, "NominalScannedPixelSpacing")
    magnification = _numbers(dataset, "EstimatedRadiographicMagnificationFactor") or [1.0]
    factor = magnification[0] if MAGNIFICATIONS[0] <= magnification[0] <= MAGNIFICATIONS[1] else 1.0
    return detector[0] / factor, detector[1] / factor


def _two(dataset: Any, keyword: str) -> tuple[float, float] | None:
    values = _numbers(dataset, keyword)
    return (values[0], values[1]) if len(values) == 2 and min(values) > 0 else None


def _numbers(dataset: Any, keyword: str) -> list[float]:
    """Those of an element; none where it is not there or holds anything else."""
    try:
        values = np.atleast_1d(np.asarray(dataset.get(keyword), np.float64)).tolist()
    except (TypeError, ValueError, NotImplementedError):  # pydicom reads a number when it is asked for
        return []
    return values if np.isfinite(values).all() else []
