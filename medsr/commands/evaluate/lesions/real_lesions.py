"""Lesions that a reader outlined: contrast and volume before and after, lesion by lesion."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class RealLesion:
    """One connected part of a mask, in one model's result.

    `volume`: by the mask, in ml or pixels. `contrast`: its mean minus that of the tissue around it, in unit values.
    `extent`: what a fixed threshold rule finds of it, in the unit of `volume`.
    """

    subject: str
    model: str
    number: int
    volume: float
    contrast: float
    extent: float

    def to_json(self) -> dict[str, Any]:
        """As it is."""
        return asdict(self)
