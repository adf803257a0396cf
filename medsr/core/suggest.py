"""The nearest of the names that may be meant."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def did_you_mean(name: object, names: Iterable[str], cutoff: float = 0.5) -> str:
    """`; did you mean 'lanczos'?` for the end of a message; empty where no name is near. Case does not count."""
    by_lower = {known.lower(): known for known in names}
    close = difflib.get_close_matches(str(name).lower(), by_lower, 1, cutoff)
    return f"; did you mean {by_lower[close[0]]!r}?" if close else ""
