"""The nearest of the names that may be meant."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

MOST = 4
"""Names that begin with what was typed, and are all offered; of more, the nearest alone."""


def did_you_mean(name: object, names: Iterable[str], cutoff: float = 0.5) -> str:
    """`; did you mean 'lanczos'?` for the end of a message; empty where no name is near. Case does not count.

    Where several names begin with what was typed, all of them.
    """
    typed, by_lower = str(name).lower(), {known.lower(): known for known in names}
    longer = [known for lower, known in by_lower.items() if lower.startswith(typed)] if typed else []
    if 1 < len(longer) <= MOST:
        return _question(longer)
    close = difflib.get_close_matches(typed, by_lower, 1, cutoff)
    return _question([by_lower[close[0]]]) if close else ""


def _question(names: list[str]) -> str:
    *others, last = map(repr, names)
    first = f"{', '.join(others)} or " if others else ""
    return f"; did you mean {first}{last}?"
