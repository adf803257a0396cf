"""The window that a DICOM header asks its values to be shown with."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite
from typing import Any

from medsr.io.dicom.values import numbers_of


def window_of(dataset: Any) -> tuple[float, float] | None:
    """The first window of a header, as `black_and_white`; None where it has none, or values that are no numbers."""
    try:
        centres, widths = (numbers_of(dataset, keyword) for keyword in ("WindowCenter", "WindowWidth"))
    except ValueError:
        return None
    return black_and_white(centres or (), widths or (), str(dataset.get("VOILUTFunction") or ""))


def black_and_white(
    centres: Sequence[float], widths: Sequence[float], function: str = ""
) -> tuple[float, float] | None:
    """The rescaled values (HU for CT) that the first window shows black and white.

    None where there is none that is wide enough, and for SIGMOID, which no two values say. Source: PS3.3 C.11.2.1.2 and
    C.11.2.1.3; without a function LINEAR is meant.
    """
    if not centres or not widths or function == "SIGMOID" or not isfinite(centres[0]) or not isfinite(widths[0]):
        return None
    exact = function == "LINEAR_EXACT"
    centre, width = (centres[0], widths[0]) if exact else (centres[0] - 0.5, widths[0] - 1)
    return (centre - width / 2, centre + width / 2) if width > 0 else None
