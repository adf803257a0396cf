"""Numbers in a DICOM header: read whatever they look like, changed in place, left out where they are none."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

Scale = tuple[float, float]
"""New rows for each old one, new columns for each old one."""


def items(dataset: Any, keyword: str) -> list[Any]:
    """The items of a sequence; none where it is not there, or not a sequence."""
    if keyword not in dataset or dataset[keyword].VR != "SQ":
        return []
    return list(dataset[keyword].value or [])


def numbers_of(dataset: Any, keyword: str) -> list[float] | None:
    """The numbers of an element; None where it is not there or empty. Raises ValueError where they are none."""
    if keyword not in dataset:
        return None
    try:
        value = dataset[keyword].value
    except Exception as error:  # pydicom raises whatever it likes on damaged values
        raise ValueError(keyword) from error
    if value is None or (isinstance(value, str | list) and not value):
        return None
    try:
        numbers = [
            float(item) for item in (value if hasattr(value, "__iter__") and not isinstance(value, str) else [value])
        ]
    except (TypeError, ValueError) as error:
        raise ValueError(keyword) from error
    if not np.isfinite(numbers).all():
        raise ValueError(keyword)
    return numbers or None


def number_of(value: Any) -> float:
    """The value as a number, 0 where it is none."""
    try:
        return float(value)
    except (TypeError, ValueError):
        return 0.0


def replace(dataset: Any, keyword: str, change: Callable[[list[float]], list[Any]], left_out: list[str]) -> None:
    """Set an element to what `change` makes of its numbers; left out where it is not what DICOM defines."""
    try:
        numbers = numbers_of(dataset, keyword)
        if numbers is None:
            return
        values = change(numbers)
    except ValueError:
        del dataset[keyword]
        left_out.append(f"{keyword} (not a valid value)")
        return
    dataset[keyword].value = values if len(values) > 1 else values[0]


def only(numbers: list[float]) -> float:
    if len(numbers) != 1:
        raise ValueError("one value expected")
    return numbers[0]


def pair(numbers: list[float]) -> tuple[float, float]:
    if len(numbers) != 2:
        raise ValueError("two values expected")
    return numbers[0], numbers[1]


def decimal(value: float) -> Any:
    """A decimal string of at most 16 characters."""
    from pydicom.valuerep import DSfloat

    return DSfloat(float(value), auto_format=True)


def rounded(value: float) -> int:
    return math.floor(value + 0.5)
