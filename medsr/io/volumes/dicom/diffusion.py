"""The b-value and gradient of a diffusion image, where its scanner says them only in private elements."""

from __future__ import annotations

import math
from typing import Any

SIEMENS, PHILIPS, PHILIPS_MR, GE = (
    "SIEMENS MR HEADER",
    "Philips Imaging DD 001",
    "Philips MR Imaging DD 001",
    "GEMS_PARM_01",
)
B_VALUES = ((0x0019, 0x0C, SIEMENS), (0x2001, 0x03, PHILIPS), (0x0043, 0x39, GE))
DIRECTIONS = (((0x0019, 0x0E, SIEMENS),), tuple((0x2005, element, PHILIPS_MR) for element in (0xB0, 0xB1, 0xB2)))
"""In the patient's directions, as the standard wants them; what GE says is in those of the image and not taken."""
GE_FLAG = 100_000
"""GE adds multiples of it to b-values."""


def settle(dataset: Any) -> None:
    """Write what private elements say under the standard's keywords, which tell volumes apart and go into results."""
    if "DiffusionBValue" in dataset or dataset.get("Modality") != "MR":
        return
    for element in B_VALUES:
        numbers = _numbers(dataset, element)
        if not numbers or numbers[0] < 0:
            continue
        value = numbers[0] % GE_FLAG if element[2] == GE else numbers[0]
        if element[2] != SIEMENS and not value:  # others write 0 into images without diffusion, too
            continue
        dataset.DiffusionBValue = value
        break
    else:
        return
    for elements in DIRECTIONS:
        direction = [number for element in elements for number in _numbers(dataset, element)]
        if len(direction) == 3 and any(direction) and "DiffusionGradientOrientation" not in dataset:
            dataset.DiffusionGradientOrientation = direction


def _numbers(dataset: Any, element: tuple[int, int, str]) -> list[float]:
    """What a private element holds as numbers; none where it is not there, or is bytes of an unknown kind."""
    try:
        value = dataset.get_private_item(*element).value
        values = [value] if isinstance(value, str | int | float) else list(value)
        numbers = [] if isinstance(value, bytes) else [float(number) for number in values]
    except (KeyError, TypeError, ValueError):
        return []
    return numbers if all(math.isfinite(number) for number in numbers) else []
